"""The first roots a machine believes."""

from pathlib import Path

import pytest

from mingzheng.keys import pins
from mingzheng.keys.errors import StoreWriteError
from mingzheng.keys.pins import MAX_PIN_BYTES, VARIABLE, add_pin, read_pins
from mingzheng.keys.tuferrors import TufMalformedError

ONE, TWO = "1" * 64, "2" * 64


def test_a_pin_stays_and_stands_once(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    assert read_pins(environment) == frozenset()
    for pin in (ONE, TWO, ONE):
        add_pin(environment, pin)
    assert read_pins(environment) == {ONE, TWO}
    assert (tmp_path / "mingzheng" / "trust-roots").read_text().count("\n") == 2


def test_where_the_pins_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "SYSTEM", tmp_path / "system")
    (tmp_path / "system").write_text(f"# roots of the ministry\n\n{ONE}  ministry, 2026\n")
    home = {"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": "not/absolute"}
    add_pin(home, TWO)
    assert (tmp_path / "home/.local/state/mingzheng/trust-roots").exists()
    assert read_pins(home) == {ONE, TWO}
    named = {**home, VARIABLE: str(tmp_path / "named")}
    assert read_pins(named) == frozenset()
    add_pin(named, ONE)
    assert read_pins(named) == {ONE}


@pytest.mark.parametrize("last", [ONE, f"{ONE}  ministry", f"{ONE}\n# no newline here"])
def test_a_pin_stands_on_a_line_of_its_own(tmp_path: Path, last: str) -> None:
    """After a last line that an editor has not ended, it would be no pin, or part of a note."""
    path = tmp_path / "pins"
    path.write_text(last)
    add_pin({VARIABLE: str(path)}, TWO)
    assert read_pins({VARIABLE: str(path)}) == {ONE, TWO}


@pytest.mark.parametrize(
    "text", ["x\n", "1" * 63, "A" * 64, "1" * 65, " " + ONE, "\xff" * 3, "#" * (MAX_PIN_BYTES + 1)]
)
def test_a_file_that_is_none_is_refused_as_a_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pins"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TufMalformedError):
        read_pins({VARIABLE: str(path)})


def test_a_pin_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreWriteError):
        add_pin({VARIABLE: str(tmp_path / "file" / "pins")}, ONE)
