"""Sealed PDFs before other people's judges: poppler, qpdf, veraPDF and the European Union's validator (DSS).

Every judge sees the same files: one seal and two, P-256 and RSA, seals as vectors and as PNG, levels B, T and LTA.
DSS gets our test CA as its trust anchor. Our seal certificates name no place for revocation data; with a revocation
list of the CA at hand DSS says TOTAL_PASSED, without one INDETERMINATE (CERTIFICATE_CHAIN_GENERAL_FAILURE, "no
revocation data found"), and both are asked here. Of a file with two seals DSS warns that the first seal's permissions
were exceeded: it also reaches the second seal's field through the tags (PDF/UA wants it there) and has no name for
the value that appears on that way; its verdict stays TOTAL_PASSED, and nothing else may be named.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import javajudge
import pypdfium2
import pytest
import sealpress
import stampworld
from PIL import Image, ImageChops

from mingzheng.formats.page import seal_slots, without_slots
from mingzheng.keys.sealkey import SealAlg

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any

RSA = (SealAlg.RSA, SealAlg.RSA)
SEALS = {"one": 1, "one-t": 1, "one-lta": 1, "two": 2, "two-rsa": 2, "two-png": 2, "two-t": 2, "two-lta": 2}
HOUR = 3600


@pytest.fixture(scope="module")
def files(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Every sealed file, on disk, by name."""
    home = tmp_path_factory.mktemp("sealed")
    pages = {1: studio.page(), 2: studio.page(studio.claims(kind=3))}
    options: dict[str, dict[str, Any]] = {
        "rsa": {"algs": RSA},
        "png": {"png": True},
        "t": {"timestamps": stampworld.LocalStamps(archive=False)},
        "lta": {"timestamps": stampworld.LocalStamps(archive=True)},
    }
    found = {}
    for name, count in SEALS.items():
        page, kind = pages[count], name.partition("-")[2]
        data = studio.pdf(without_slots(page))
        found[name] = home / f"{name}.pdf"
        found[name].write_bytes(sealpress.sealed(data, page, **options.get(kind, {})))
    found["unsealed"] = home / "unsealed.pdf"
    found["unsealed"].write_bytes(studio.pdf(pages[2]))
    return found


def changed(files: Mapping[str, Path], tmp_path: Path) -> Path:
    """A file with one bit of its page content flipped after sealing."""
    data = bytearray(files["one"].read_bytes())
    data[data.index(b"/DCTDecode") + 2000] ^= 1
    path = tmp_path / "changed.pdf"
    path.write_bytes(data)
    return path


@pytest.mark.qpdf
def test_qpdf_finds_no_fault(files: Mapping[str, Path]) -> None:
    for path in files.values():
        done = subprocess.run(["qpdf", "--check", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No syntax or stream encoding errors" in done.stdout
        assert done.stderr == ""


@pytest.mark.poppler
def test_pdfsig_accepts_every_seal(files: Mapping[str, Path], tmp_path: Path) -> None:
    def judged(path: Path) -> str:
        return subprocess.run(["pdfsig", "-nocert", str(path)], capture_output=True, check=False).stdout.decode()

    for name, count in SEALS.items():
        text = judged(files[name])
        assert text.count("Signature is Valid.") == count, text
        assert text.count("Signature Type: ETSI.CAdES.detached") == count
        assert re.findall(r"Signature Field Name: (\w+)", text)[:count] == ["Seal1", "Seal2"][:count]
        assert text.count("  - Total document signed") == 1  # by the last of them
    assert "Signature is Invalid" in judged(changed(files, tmp_path)) or "Digest Mismatch" in judged(
        changed(files, tmp_path)
    )


@pytest.mark.poppler
def test_poppler_and_pdfium_show_the_same_page(files: Mapping[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two", "two-png"):
        subprocess.run(
            ["pdftoppm", "-r", "150", "-png", "-singlefile", str(files[name]), str(tmp_path / name)], check=True
        )
        with Image.open(tmp_path / f"{name}.png") as picture:
            seen = picture.convert("L")
        with pypdfium2.PdfDocument(files[name]) as document:
            document.init_forms()
            ours = document[0].render(scale=150 / 72, may_draw_forms=True).to_pil().convert("L")
        ours = ours.resize(seen.size)
        small = (seen.width // 10, seen.height // 10)
        difference = ImageChops.difference(
            seen.resize(small, Image.Resampling.BOX), ours.resize(small, Image.Resampling.BOX)
        )
        assert difference.getextrema()[1] < 90, name  # type: ignore[operator]
        assert sum(difference.histogram()[40:]) < 0.02 * small[0] * small[1], name


@pytest.mark.java
def test_verapdf_accepts_pdf_a_3a_and_pdf_ua_1(files: Mapping[str, Path]) -> None:
    lines = javajudge.run("verapdf", "judge.Judge", *files.values())
    verdicts = {(Path(line[0]).stem, line[1]): (line[2], int(line[3])) for line in lines if line[0]}
    broken = [line for line in lines if not line[0]]
    assert broken == []
    assert set(verdicts) == {(name, flavour) for name in files for flavour in ("3a", "ua1")}
    assert all(verdict == "passed" and checks > 500 for verdict, checks in verdicts.values())


@pytest.mark.java
def test_verapdf_would_say_no(files: Mapping[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(files["one"].read_bytes().replace(b"<pdfaid:part>3", b"<pdfaid:part>2").replace(b"/TU ", b"/TV "))
    verdicts = [line[2] for line in javajudge.run("verapdf", "judge.Judge", path) if line[0]]
    assert verdicts[0] == "failed"


Judge = Callable[..., dict[str, list[list[str]]]]


@pytest.fixture(scope="module")
def dss(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Ask DSS: for every file the lines of its seals."""
    home = tmp_path_factory.mktemp("trust")
    (home / "root.cer").write_bytes(sealpress.root())
    (home / "root.crl").write_bytes(stampworld.crl())

    def judge(*paths: Path, crl: bool = True) -> dict[str, list[list[str]]]:
        arguments = [str(sealpress.AT + HOUR), home / "root.cer", home / "root.crl" if crl else "-", *paths]
        found: dict[str, list[list[str]]] = {path.stem: [] for path in paths}
        current = ""
        for line in javajudge.run("dss", "judge.Judge", *arguments):
            current = Path(line[0]).stem if line[0] else current
            found[current].append(line)
        return found

    return judge


@pytest.mark.java
def test_dss_accepts_every_seal_at_its_level(files: Mapping[str, Path], dss: Judge) -> None:
    found = dss(*(files[name] for name in SEALS))
    for name, count in SEALS.items():
        level = {"t": "T", "lta": "LTA"}.get(name.partition("-")[2], "B")
        seals = [line[1:] for line in found[name] if line[0]]
        assert seals == [[f"PAdES-BASELINE-{level}", "TOTAL_PASSED", "-"]] * count
        messages = {line[2] for line in found[name] if line[1].startswith("ades")}
        assert not any(line[1] == "ades error" for line in found[name])
        allowed = {"BBB_XCV_AIA_PRES_ANS", "BBB_XCV_REVOC_PRES_ANS"}  # our CA names no addresses
        if count == 2:
            allowed |= {"BBB_FC_ISVADMDPD_ANS", "BBB_FC_DSCNUOM_ANS"}
        assert messages <= allowed
        for line in found[name]:
            if line[1] == "undefined change":
                assert count == 2
                assert re.search(r"/Annots \d+ 0 R /AP /N \d+ 0 R /(BBox|Filter|Resources)|/Obj \d+ 0 R /V ", line[3])


@pytest.mark.java
def test_dss_without_revocation_data_is_undecided_and_says_why(files: Mapping[str, Path], dss: Judge) -> None:
    found = dss(files["one"], files["two"], crl=False)
    for lines in found.values():
        assert {tuple(line[1:]) for line in lines if line[0]} == {
            ("PAdES-BASELINE-B", "INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE")
        }
        errors = {line[2] for line in lines if line[1] == "ades error"}
        assert errors == {"BBB_XCV_SUB_ANS", "BBB_XCV_IRDPFC_ANS"}


@pytest.mark.java
def test_dss_rejects_a_changed_file(files: Mapping[str, Path], dss: Judge, tmp_path: Path) -> None:
    (lines,) = dss(changed(files, tmp_path)).values()
    assert lines[0][2:] == ["TOTAL_FAILED", "HASH_FAILURE"]


def test_slots_of_both_pages_are_known(studio: Studio) -> None:
    """The table above says how many seals a file has."""
    assert len(seal_slots(studio.page())) == 1
    assert len(seal_slots(studio.page(studio.claims(kind=3)))) == 2
