"""docs/clerks.md is typed line by line, as it stands, in one directory; what happens is what the page says."""

import getpass
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from desk import Told, run, sit_down
from holderpress import HolderCa, signed_pdf
from outsideca import OutsideCa

from mingzheng.keys.sealkey import SealAlg

PAGE = Path(__file__).resolve().parent.parent / "docs" / "clerks.md"
# The statuses that the page announces; every other line ends with 0.
STATUS = {"issue records.xlsx": 1, "revoke": 3}
INSTALL = 3  # lines before the first of ours


def _lines() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def _fill() -> None:
    """Two more people in the sample; one with a day that a spreadsheet made a number."""
    import openpyxl

    book = openpyxl.load_workbook("records.xlsx")
    sheet = book.worksheets[0]
    header = [str(cell.value) for cell in sheet[1]]
    for row, (name, number, born) in enumerate((("陈示例", 11, "1985-03-03"), ("王示例", 12, "44739")), start=4):
        for column, cell in enumerate(sheet[3], start=1):
            sheet.cell(row, column, cell.value)
        for title, text in (("姓名", name), ("注册编号", f"沪23120202020000{number}"), ("出生日期", born)):
            sheet.cell(row, header.index(title) + 1, text)
    book.save("records.xlsx")


def _mend() -> None:
    path = Path("faults.csv")
    path.write_text(path.read_text(encoding="utf-8-sig").replace("44739", "1986-04-04"), encoding="utf-8")


def _answer_request() -> None:
    outside = OutsideCa(SealAlg.P256)
    Path("pdf.cer").write_bytes(outside.answer(Path("pdf.csr")))
    Path("ca.cer").write_bytes(outside.root)


def _sign_application() -> None:
    """The holder's part: the application of the sample's person, and the authority's certificate."""
    Path("holder-ca.cer").write_bytes(HolderCa().root)
    Path("application.pdf").write_bytes(signed_pdf(HolderCa().holder("王小明")))


def _asked(prompt: str) -> str:
    """The person whose passphrase is asked for types it."""
    owner = next((name for name in ("张三", "李四") if name in prompt), "工作区 workspace")
    return f"passphrase of {owner}"


def _type(line: str) -> Told:
    if line.startswith("mingzheng approve "):
        (waiting,) = Path("W/requests").glob("*.request")
        line = line.replace("0123456789abcdef", waiting.stem)
    line, _, file = line.partition(" > ")
    told = run(*shlex.split(line)[1:], typed=b"y\n")
    if file:
        Path(file).write_bytes(told.raw)
    return told


@pytest.mark.skipif(
    importlib.util.find_spec("openpyxl") is None, reason='openpyxl is not installed: pip install "mingzheng[xlsx]"'
)
def test_every_line_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(tmp_path, monkeypatch)
    monkeypatch.setattr(getpass, "getpass", _asked)
    lines = _lines()
    assert len(lines) > 25
    said = {}
    for line in lines[INSTALL:]:
        if line.startswith("mingzheng application ca"):
            _sign_application()
        if line.startswith("mingzheng issue faults.csv"):
            _mend()
        told = said[line.removeprefix("mingzheng ").split(" --")[0], "--dry-run" in line] = _type(line)
        wanted = next((status for start, status in STATUS.items() if line.startswith(f"mingzheng {start}")), 0)
        if line.startswith("mingzheng records check"):
            assert told.status == 0, told.err
            _fill()
            assert _type(line).status == 1
        else:
            assert told.status == wanted, (line, told.out, told.err)
        if line.startswith("mingzheng seal request"):
            _answer_request()
    assert sorted({path.suffix for path in Path("certificates").iterdir()}) == [".ofd", ".pdf"]
    assert "有效" in said["verify certificates", False].out
    assert "未盖章" not in said["issue records.xlsx", False].err
    assert "可用" in said["seal list", False].out
    assert "持证人申请" in said["status", False].out
    assert Path("W-backup.tar").is_file()


def test_the_lines_before_the_first_command_are_the_ones_that_install() -> None:
    words = [line.split() for line in _lines()[: INSTALL + 1]]
    assert [line[0] for line in words] == ["python3", "mz/bin/pip", "mz/bin/mingzheng", "mingzheng"]
    text = (PAGE.parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert words[1][-1] == '".[issue]"'
    assert re.search(r"^issue = \[", text, flags=re.MULTILINE)


def test_the_pages_name_the_eight_kinds_that_are_shipped() -> None:
    kinds = {path.name.rsplit(".", 2)[0] for path in (PAGE.parent.parent / "formats/profiles").glob("*.toml")}
    assert len(kinds) == 8
    for page in (PAGE, PAGE.parent / "records.md"):
        text = page.read_text(encoding="utf-8")
        assert all(f"`{kind}`" in text for kind in kinds), page.name
