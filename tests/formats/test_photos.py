"""Simulated prints are read back in every cell of two pixels a module and more (docs/results/photos.md)."""

import importlib.util
import io
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import FULL
from PIL import Image

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "photo_matrix.py"


def load() -> Any:
    """The benchmark as a module: its folder is no package of ours."""
    spec = importlib.util.spec_from_file_location("photo_matrix", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["photo_matrix"] = module
    spec.loader.exec_module(module)
    return module


MATRIX = load()
COUNT = 300 if FULL else 1
ENOUGH = tuple(dpi for dpi in MATRIX.RESOLUTIONS if MATRIX.pixels_a_module(dpi) >= 2)


@pytest.mark.parametrize("way", MATRIX.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("version", MATRIX.SIZES)
def test_prints_are_read(way: Any, version: int) -> None:
    for dpi in ENOUGH if FULL else ENOUGH[:1]:
        found = MATRIX.cell(version, dpi, way, COUNT)
        assert found["rate"] >= MATRIX.WANTED, found
        assert found["wrong"] == 0


def test_the_table_has_every_cell_once() -> None:
    cells = [
        {"way": way.name, "version": version, "dpi": dpi, "rate": 0.5, "reading_ms": 1.0, "wrong": wrong}
        for way in MATRIX.WAYS
        for version in MATRIX.SIZES
        for wrong, dpi in enumerate(MATRIX.RESOLUTIONS)
    ]
    result = {"n": 1, "python": "", "versions": {}, "commit": "", "machine": "", "cells": cells, "below": []}
    text = "\n".join(MATRIX.table(result))
    rows = len(MATRIX.WAYS) * len(MATRIX.SIZES)
    assert text.count("50.0%") == rows * len(MATRIX.RESOLUTIONS)
    assert text.count("3 wrong") == rows
    assert "Every cell of at least two" in text


def test_pictures_are_the_same_every_time() -> None:
    files = []
    for _ in range(2):
        seed = random.Random("x")
        _, sheet = MATRIX.printed(15, seed)
        files.append(MATRIX.pictured(sheet, MATRIX.WAYS[-1], 200, seed))
    assert files[0] == files[1]
    assert Image.open(io.BytesIO(files[0])).mode == "L"
