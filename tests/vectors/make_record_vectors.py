"""Makes `records/`: files as clerks send them, and `records/expected.json`, which says by hand what each one has wrong.

Nothing of ours is used: expectations come from docs/records.md, check characters from the weights of GB 11643,
workbooks are written as XML. Run it again after a change: `python tests/vectors/make_record_vectors.py`; the files
come out equal.
"""

import csv
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

OUT = Path(__file__).resolve().parent / "records"
COLUMNS = (
    "kind", "jurisdiction", "name", "sex", "birth_date", "id_type", "id_number", "registration_no", "specialties",
    "certificate_issued_on", "employer", "registered_until", "issuing_body", "sealing_body", "photo",
    "signature_image", "purpose",
)  # fmt: skip
CHINESE = (
    "证书种类", "地区", "姓名", "性别", "出生日期", "证件类型", "证件号码", "注册编号", "注册专业", "签发日期",
    "聘用企业", "注册有效期至", "颁发机关", "签章机关", "照片", "签名图像", "用途",
)  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPQ"
STAMP = (2026, 1, 1, 0, 0, 0)
Expected = tuple[int, str, str]  # row, column, code
CASES: dict[str, dict[str, Any]] = {}


def identity(first17: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return first17 + "10X98765432"[sum(int(d) * w for d, w in zip(first17, weights, strict=True)) % 11]


def person(number: int = 1, **changes: str) -> dict[str, str]:
    row = {
        "kind": "cn.constructor.1",
        "jurisdiction": "0",
        "name": "王小明",
        "sex": "男",
        "birth_date": "1985-03-03",
        "id_number": identity("11010119850303037"),
        "registration_no": f"京11120062007{number:05}",
        "specialties": "建筑工程:2024-01-01:2027-01-01",
        "certificate_issued_on": "2024-01-01",
        "employer": "北京示例建设（集团）有限公司",
        "registered_until": "2028-06-01",
        "issuing_body": "1",
        "photo": "images/good.jpg",
        "signature_image": "images/sign.png",
    }
    return row | changes


def architect(number: str, **changes: str) -> dict[str, str]:
    return person() | {"kind": "cn.architect.1", "registration_no": number, "specialties": ""} | changes


def text(
    rows: Sequence[Mapping[str, str]], *, sep: str = ",", end: str = "\r\n", header: Sequence[str] = COLUMNS
) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator=end)
    writer.writerow(header)
    writer.writerows([row.get(column, "") for column in COLUMNS] for row in rows)
    return out.getvalue()


def case(
    name: str,
    data: bytes,
    faults: Sequence[Expected] = (),
    notes: Sequence[Expected] = (),
    *,
    good: int = 1,
    images: bool = False,
    header: bool = True,
) -> None:
    """One file; `header` False: cells have no names (JSON, or the file was not read)."""
    (OUT / name).write_bytes(data)
    said = [
        {
            "row": row,
            "column": column,
            "cell": f"{LETTERS[COLUMNS.index(column)]}{row}" if header and row and column else "",
            "code": code,
            "severity": severity,
        }
        for severity, found in (("fault", faults), ("note", notes))
        for row, column, code in found
    ]
    assert name not in CASES
    CASES[name] = {"good": good, "images": images, "said": said}


def one(
    file: str, /, fault: tuple[str, str] | None = None, note: tuple[str, str] | None = None, **changes: str
) -> None:
    """A file of one row that has at most one fault and one note."""
    case(
        f"{file}.csv",
        text([person(**changes)]).encode(),
        [(2, *fault)] if fault else [],
        [(2, *note)] if note else [],
        good=0 if fault else 1,
    )


def encodings() -> None:
    rows = [person(1), person(2, name="王䶮", employer="上海喆堃建设有限公司")]
    plain = text(rows)
    guessed = [(0, "", "record.encoding_guessed")]
    case("utf8.csv", plain.encode(), good=2)
    case("utf8-bom.csv", plain.encode("utf-8-sig"), good=2)
    case("gb18030.csv", plain.encode("gb18030"), notes=guessed, good=2)
    rare = text([person(name="王𬭎")])
    case("gb18030-four-bytes.csv", rare.encode("gb18030"), notes=guessed)
    case("utf16-le-bom.csv", b"\xff\xfe" + plain.encode("utf-16-le"), good=2)
    case("utf16-be-bom.csv", b"\xfe\xff" + plain.encode("utf-16-be"), good=2)
    case("utf16-le.csv", plain.encode("utf-16-le"), notes=guessed, good=2)
    case("utf16-be.csv", plain.encode("utf-16-be"), notes=guessed, good=2)
    unreadable = [(0, "", "record.encoding")]
    case("utf32.csv", plain.encode("utf-32"), unreadable, good=0)
    case("utf16-odd.csv", plain.encode("utf-16-le") + b"x", unreadable, good=0)
    case("no-encoding.csv", plain.encode() + b"\xff\x80\xff", unreadable, good=0)


def separators() -> None:
    rows = [person(1), person(2)]
    case("semicolon.csv", text(rows, sep=";").encode(), good=2)
    case("tab.csv", text(rows, sep="\t").encode(), good=2)
    case("tab-unicode-text.txt", text(rows, sep="\t").encode("utf-16"), good=2)
    case("sep-line.csv", ("sep=;\r\n" + text(rows, sep=";")).encode(), good=2)
    case("lf.csv", text(rows, end="\n").encode(), good=2)
    case("cr.csv", text(rows, end="\r").encode(), good=2)
    case("mixed-line-ends.csv", text(rows, end="\r\n").replace("\r\n", "\n", 1).encode(), good=2)
    split = [person(1, employer="北京\n示例公司"), person(2, sex="x")]
    case(
        "quoted-line-end.csv",
        text(split).encode(),
        [(3, "sex", "record.bad_sex")],
        [(2, "employer", "record.odd_space")],
    )
    case("unbalanced-quote.csv", (text(rows) + '"').encode(), [(4, "", "record.csv_syntax")], good=0)


def headers() -> None:
    rows = [person(1)]
    case("chinese-header.csv", text(rows, header=CHINESE).encode("utf-8-sig"))
    starred = ["*" + name for name in CHINESE]
    case("starred-header.csv", text(rows, header=starred).encode("utf-8-sig"))
    wrong = [*COLUMNS[:10], "聘用单位", *COLUMNS[11:]]
    case("unknown-column.csv", text(rows, header=wrong).encode(), [(1, "", "record.unknown_column")], good=0)
    twice = [*COLUMNS[:13], "name", *COLUMNS[14:]]
    case("column-twice.csv", text(rows, header=twice).encode(), [(1, "name", "record.duplicate_column")], good=0)
    CASES["column-twice.csv"]["said"][0]["cell"] = ""
    lacking = [*COLUMNS[:2], "fault_row", *COLUMNS[3:]]
    case("column-missing.csv", text(rows, header=lacking).encode(), [(1, "name", "record.missing_column")], good=0)
    CASES["column-missing.csv"]["said"][0]["cell"] = ""
    title = "一级建造师名单" + "," * 16 + "\r\n" + text(rows)
    case("title-row.csv", title.encode(), [(1, "", "record.rows_above_header")], good=0)
    notes = text([]) + "#必填：证书种类标识" + "," * 16 + "\r\n" + text(rows).split("\r\n", 1)[1]
    case("row-of-notes.csv", notes.encode())
    case("empty.csv", b"", [(0, "", "record.empty_file")], good=0)
    case("header-only.csv", text([]).encode(), [(0, "", "record.empty_file")], good=0)
    case("no-header.csv", text(rows).split("\r\n", 1)[1].encode(), [(0, "", "record.empty_file")], good=0)


def rows() -> None:
    short = "\r\n".join(line.rstrip(",") for line in text([person(1)]).split("\r\n"))
    case("short-rows.csv", short.encode())
    case("surplus-cells.csv", (text([person(1)]).rstrip("\r\n") + ",,,\r\n").encode())
    odd = text([person(1)]) + "a,b\r\n"
    case("cells-missing.csv", odd.encode(), [(3, "", "record.cell_count")])
    case("duplicate-rows.csv", text([person(1), person(1)]).encode(), [(3, "registration_no", "record.duplicate_row")])
    clash = [(row, "registration_no", "record.conflicting_rows") for row in (2, 3)]
    case("conflicting-rows.csv", text([person(1), person(1, employer="别的公司")]).encode(), clash, good=0)
    case(
        "many-faults.csv",
        text(
            [
                person(1, sex="x", birth_date="1985-02-30", id_number=""),
                person(2),
                person(3, name="", jurisdiction="99"),
            ]
        ).encode(),
        [
            (2, "sex", "record.bad_sex"),
            (2, "birth_date", "record.bad_date"),
            (4, "jurisdiction", "record.bad_jurisdiction"),
            (4, "name", "record.required"),
        ],
    )
    numbers = [
        person(number) | {"registration_no": no} for number, no in enumerate(("京111200700012", "京1112006200700012"))
    ]
    case("registration-numbers.csv", text(numbers).encode(), good=2)
    case(
        "registration-number-wrong.csv",
        text([person(1, registration_no="京21120062007000")]).encode(),
        [(2, "registration_no", "record.registration_no_form")],
        good=0,
    )


def damage() -> None:
    number = "id_number"
    one("scientific", (number, "record.scientific"), id_number="1.10101E+17")
    one("rounded", (number, "record.id_number_rounded"), id_number="110101198503030000")
    zeros = next(n for p in range(99) if (n := identity(f"1101{p:02}19850303200")).endswith("000"))
    one("ends-in-zeros", note=(number, "record.id_number_zeros"), id_number=zeros, sex="女")
    one("date-serial", ("birth_date", "record.date_serial"), birth_date="31109", id_number="")
    one("date-american", ("registered_until", "record.bad_date"), registered_until="6/1/2028")
    one("date-two-digit-year", ("registered_until", "record.bad_date"), registered_until="28-6-1")
    one("date-slashes", birth_date="1985/3/3", registered_until="2028.6.1", certificate_issued_on="20240101")
    one("date-midnight", birth_date="1985/3/3 0:00", registered_until="2028-06-01 00:00:00")
    one("date-time", ("birth_date", "record.bad_date"), birth_date="1985-03-03 08:00:00", id_number="")
    one("fullwidth", note=("birth_date", "record.fullwidth"), birth_date="１９８５／３／３")
    one("fullwidth-employer", note=("employer", "record.fullwidth"), employer="ＡＢＣ建设（集团）有限公司")
    one("apostrophe", note=(number, "record.apostrophe"), id_number="'" + identity("11010119850303037"))
    one("formula-text", note=(number, "record.formula_text"), id_number=f'="{identity("11010119850303037")}"')
    one("no-break-space", note=("employer", "record.odd_space"), employer="\u00a0ABC\u00a0Ltd\u00a0")
    one(
        "number-spaces",
        note=(number, "record.inner_space"),
        id_number="110101 19850303 037" + identity("11010119850303037")[-1],
    )
    one("decimal", note=("sex", "record.decimal"), sex="1.0")
    one("true", ("employer", "record.cell_boolean"), employer="TRUE")
    one("not-available", ("employer", "record.cell_error"), employer="#N/A")
    few = [architect(no) for no in ("0120240001", "0120240002", "0120240003", "0120240004", "120240005")]
    case("short-number.csv", text(few).encode(), notes=[(6, "registration_no", "record.short_number")], good=5)
    one("required-blank", ("registration_no", "record.required"), registration_no="\u00a0")
    CASES["required-blank.csv"]["said"].append(
        {"row": 2, "column": "registration_no", "cell": "H2", "code": "record.odd_space", "severity": "note"}
    )


def names() -> None:
    for dot, name in (("•", "bullet"), ("・", "katakana"), ("．", "full-stop"), ("‧", "hyphenation-point")):
        one(f"name-{name}", note=("name", "record.interpunct"), name=f"买买提{dot}艾力")
    one("name-middle-dot", name="买买提·艾力")
    one("name-space", note=("name", "record.name_space"), name="JOHN SMITH")
    one("name-rare", name="王𠮷䶮犇喆")
    one("name-private-use", ("name", "record.private_use"), name="王\ue5e5明")
    one("name-private-use-moved", ("name", "record.compatibility"), name="王\ue863")
    one("name-compatibility", ("name", "record.compatibility"), name="\uf979小明")
    one("name-radical", ("name", "record.compatibility"), name="\u2fa6小明")
    one("name-radical-alone", ("name", "record.radical"), name="\u2e8c小明")
    one("name-bidi", ("name", "record.invisible"), name="王\u202e明")
    one("name-zero-width", ("name", "record.invisible"), name="王\u200b明")
    one("name-lost", ("name", "record.lost_character"), name="王?明")
    one("name-decomposed", ("name", "record.text"), name="Jose\u0301")
    one("name-too-long", ("name", "record.cell_too_long"), name="王" * 41)
    one("employer-compatibility", ("employer", "record.compatibility"), employer="\uf979水公司")


def documents() -> None:
    good = [
        ("", identity("11010119850303037")),
        ("护照", "E12345678"),
        ("港澳居民来往内地通行证", "H12345678"),
        ("台湾居民来往大陆通行证", "12345678"),
        ("港澳台居民居住证", identity("81000019850303037")),
        ("外国人永久居留身份证", identity("91184019850303037")),
        ("永居证", "USA110112345678"),
    ]
    people = [person(n, id_type=kind, id_number=number) for n, (kind, number) in enumerate(good, start=1)]
    case("identity-documents.csv", text(people).encode(), good=7)
    for name, kind, number, code in (
        ("resident-form", "", "11010119850303037", "id_number_form"),
        ("resident-check", "", "110101198503030371", "id_number_check"),
        ("resident-old-15", "", "110101850303037", "id_number_form"),
        ("passport", "护照", "E12", "passport_form"),
        ("hk-macao-pass", "回乡证", "C12345678", "hk_macao_pass_form"),
        ("taiwan-pass", "台胞证", "1234", "taiwan_pass_form"),
        ("residence-permit", "港澳台居民居住证", identity("84000019850303037"), "residence_permit_form"),
        ("residence-permit-check", "港澳台居民居住证", "810000198503030371", "id_number_check"),
        ("permanent-resident", "永居证", "US1110112345678", "permanent_resident_form"),
        ("birth", "", identity("11010119850304037"), "id_number_birth"),
        ("sex", "", identity("11010119850303028"), "id_number_sex"),
    ):
        one(f"identity-{name}", ("id_number", f"record.{code}"), id_type=kind, id_number=number)
    one("identity-unknown-type", ("id_type", "record.id_type"), id_type="驾驶证")


def json_files() -> None:
    case("records.json", json.dumps([person(1)], ensure_ascii=False).encode(), header=False)
    wrong = [person(1, sex="x"), person(2) | {"nmae": "x"}]
    said = [(1, "sex", "record.bad_sex"), (2, "", "record.unknown_key")]
    case("faulty.json", json.dumps(wrong, ensure_ascii=False).encode(), said, good=0, header=False)
    case("broken.json", b'[{"name": ', [(0, "", "record.json_syntax")], good=0)


# Workbooks, as XML

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="0000000000"/></numFmts>'
    "<fonts><font/></fonts><fills><fill/></fills><borders><border/></borders>"
    "<cellStyleXfs><xf/></cellStyleXfs><cellXfs>"
    '<xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="164" applyNumberFormat="1"/>'
    "</cellXfs></styleSheet>"
)
Cell = str | tuple[str, str]  # text, or (attributes, inner XML)


def number(value: str, style: int = 0) -> Cell:
    return f's="{style}"', f"<v>{value}</v>"


def sheet(rows: Sequence[Sequence[Cell]], *, before: str = "", after: str = "", hidden: Sequence[int] = ()) -> str:
    lines = []
    for row, cells in enumerate(rows, start=1):
        parts = []
        for place, cell in enumerate(cells):
            ref = f'r="{LETTERS[place]}{row}"'
            if isinstance(cell, tuple):
                parts.append(f"<c {ref} {cell[0]}>{cell[1]}</c>")
            elif cell:
                parts.append(f'<c {ref} t="inlineStr"><is><t>{cell.replace("&", "&amp;")}</t></is></c>')
        mark = ' hidden="1"' if row in hidden else ""
        lines.append(f'<row r="{row}"{mark}>{"".join(parts)}</row>')
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{"".join(lines)}</sheetData>{after}</worksheet>'


def parts(
    sheets: Sequence[str], *, states: Sequence[str] = (), strings: str | None = None, epoch: str = "", main: str = MAIN
) -> dict[str, bytes]:
    states = states or ["visible"] * len(sheets)
    links = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)] + [("styles", "styles.xml")]
    if strings is not None:
        links.append(("sharedStrings", "sharedStrings.xml"))
    types = "".join(f'<Override PartName="/xl/{to}" ContentType="{SHEETML}.{kind}+xml"/>' for kind, to in links)
    found = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{SHEETML}.sheet.main+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{OFFICE}"><workbookPr {epoch}/><sheets>'
        + "".join(
            f'<sheet name="S{n}" sheetId="{n}" state="{state}" r:id="r{n}"/>' for n, state in enumerate(states, start=1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{to}"/>'
            for n, (kind, to) in enumerate(links, start=1)
        )
        + "</Relationships>",
        "xl/styles.xml": STYLES,
        **{f"xl/worksheets/sheet{n}.xml": body for n, body in enumerate(sheets, start=1)},
    }
    if strings is not None:
        found["xl/sharedStrings.xml"] = strings
    return {name: body.encode() for name, body in found.items()}


def packed(files: Mapping[str, bytes], *, extra: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type, info.extra = zipfile.ZIP_DEFLATED, extra
            archive.writestr(info, body)
    return out.getvalue()


def table(*people: Mapping[str, Cell]) -> list[list[Cell]]:
    return [list(COLUMNS), *([row.get(column, "") for column in COLUMNS] for row in people)]


def book(
    name: str,
    rows: Sequence[Sequence[Cell]],
    faults: Sequence[Expected] = (),
    notes: Sequence[Expected] = (),
    *,
    good: int = 1,
    epoch: str = "",
    **sheet_options: Any,
) -> None:
    data = packed(parts([sheet(rows, **sheet_options)], epoch=epoch))
    case(f"{name}.xlsx", data, faults, notes, good=good)


def workbooks() -> None:
    book("plain", table(person(1), person(2)), good=2)
    texts = [cell for row in table(person(1)) for cell in row if cell]
    shared = f'<sst xmlns="{MAIN}">' + "".join(f"<si><t>{cell}</t></si>" for cell in texts) + "</sst>"
    places = iter(range(len(texts)))
    referred = [[('t="s"', f"<v>{next(places)}</v>") if cell else "" for cell in row] for row in table(person(1))]
    case("shared-strings.xlsx", packed(parts([sheet(referred)], strings=shared)))
    hint = struct.pack("<HHHH", 0xA220, 260, 0xA028, 256) + bytes(256)
    case("growth-hint.xlsx", packed(parts([sheet(table(person(1)))]), extra=hint))
    dated = person(1) | {"birth_date": number("31109", 1), "registered_until": number("46905", 1)}
    book("dates.xlsx"[:-5], table(dated))
    old = person(1) | {"birth_date": number("29647", 1), "registered_until": number("45443", 1)}
    book("dates-1904", table(old), epoch='date1904="1"')
    book(
        "date-time",
        table(person(1) | {"registered_until": number("46905.5", 1)}),
        [(2, "registered_until", "record.bad_date")],
        good=0,
    )
    book(
        "date-unformatted",
        table(person(1) | {"registered_until": number("46905")}),
        [(2, "registered_until", "record.date_serial")],
        good=0,
    )
    book(
        "date-in-number",
        table(person(1) | {"registration_no": number("46905", 1)}),
        [(2, "registration_no", "record.cell_date")],
        good=0,
    )
    book(
        "number-rounded",
        table(person(1) | {"id_number": number("1.1010119850303E+17")}),
        [(2, "id_number", "record.number_rounded")],
        good=0,
    )
    plain = architect("x") | {"registration_no": number("120240001")}
    book("number-cell", table(plain), notes=[(2, "registration_no", "record.number_cell")])
    shown = architect("x") | {"registration_no": number("120240001", 2)}
    book("number-padded", table(shown), notes=[(2, "registration_no", "record.number_cell")])
    book("sex-number", table(person(1) | {"sex": number("1.0"), "jurisdiction": number("0")}))
    book(
        "boolean",
        table(person(1) | {"employer": ('t="b"', "<v>1</v>")}),
        [(2, "employer", "record.cell_boolean")],
        good=0,
    )
    book(
        "error",
        table(person(1) | {"employer": ('t="e"', "<v>#N/A</v>")}),
        [(2, "employer", "record.cell_error")],
        good=0,
    )
    stored = person(1) | {"employer": ('t="str"', "<f>A1</f><v>北京示例公司</v>")}
    book("formula", table(stored), notes=[(0, "", "record.formula")])
    unstored = person(1) | {"employer": ("", "<f>A1</f>")}
    book("formula-uncalculated", table(unstored), [(2, "employer", "record.formula_uncalculated")], good=0)
    merged = '<mergeCells count="1"><mergeCell ref="K2:L2"/></mergeCells>'
    book("merged", table(person(1), person(2)), [(2, "", "record.merged_cells")], after=merged)
    book("hidden-row", table(person(1), person(2)), [(3, "", "record.hidden_row")], hidden=[3])
    cols = '<cols><col min="7" max="7" hidden="1"/></cols>'
    book("hidden-column", table(person(1)), [(0, "", "record.hidden_column")], before=cols, good=0)
    book("title", [["一级建造师名单"], *table(person(1))], [(1, "", "record.rows_above_header")], good=0)
    book("far-formatting", table(person(1)), after="")
    two = [sheet(table(person(1))), sheet([["说明"]])]
    case("several-sheets.xlsx", packed(parts(two)), [(0, "", "record.several_sheets")], good=0)
    hidden = [(0, "", "record.hidden_sheet")]
    case("hidden-sheet.xlsx", packed(parts(two, states=["visible", "hidden"])), notes=hidden)
    case("empty-sheets.xlsx", packed(parts([sheet([])])), [(0, "", "record.empty_file")], good=0)


def hostile_workbooks() -> None:
    def bad(name: str, files: Mapping[str, bytes], code: str) -> None:
        case(f"{name}.xlsx", packed(files), [(0, "", f"record.{code}")], good=0)

    whole = parts([sheet(table(person(1)))])
    body = whole["xl/worksheets/sheet1.xml"].decode()
    bad("bomb", whole | {"xl/media/1.xml": bytes(20_000_000)}, "xlsx_too_large")
    bad("many-entries", whole | {f"xl/media/{n}": b"" for n in range(1_001)}, "xlsx_too_large")
    bad("traversal", whole | {"../evil.xml": b"x"}, "xlsx_unsafe")
    bad("absolute-name", whole | {"/xl/evil.xml": b"x"}, "xlsx_unsafe")
    bad("twin-names", whole | {"XL/Workbook.xml": b"x"}, "xlsx_unsafe")
    doctype = '<!DOCTYPE a [<!ENTITY b "c">]>'
    bad("doctype-sheet", whole | {"xl/worksheets/sheet1.xml": (doctype + body).encode()}, "xlsx_unsafe")
    bad("doctype-workbook", whole | {"xl/workbook.xml": doctype.encode() + whole["xl/workbook.xml"]}, "xlsx_unsafe")
    external = '<!DOCTYPE sst SYSTEM "file:///etc/passwd"><sst/>'
    bad("doctype-strings", parts([sheet(table(person(1)))], strings=external), "xlsx_unsafe")
    many = f'<sst xmlns="{MAIN}">' + "".join(f"<si><t>{n % 10}</t></si>" for n in range(1_000_001)) + "</sst>"
    bad("million-strings", parts([sheet(table(person(1)))], strings=many), "xlsx_too_large")
    wide = body.replace("</row></sheetData>", '<c r="XFD2"><v>1</v></c></row></sheetData>')
    bad("column-xfd", whole | {"xl/worksheets/sheet1.xml": wide.encode()}, "xlsx_columns")
    far = body.replace("</sheetData>", '<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>')
    bad("row-million", whole | {"xl/worksheets/sheet1.xml": far.encode()}, "too_many_rows")
    back = body.replace("</sheetData>", '<row r="1"><c r="A1"><v>1</v></c></row></sheetData>')
    bad("rows-back", whole | {"xl/worksheets/sheet1.xml": back.encode()}, "xlsx_unsafe")
    stray = body.replace('<c r="A2"', '<c r="A9"')
    bad("stray-cell", whole | {"xl/worksheets/sheet1.xml": stray.encode()}, "xlsx_unsafe")
    index = sheet(table(person(1) | {"employer": ('t="s"', "<v>99</v>")}))
    bad("string-index", parts([index], strings=f'<sst xmlns="{MAIN}"><si><t>x</t></si></sst>'), "xlsx_damaged")
    word = sheet(table(person(1) | {"employer": ("", "<v>abc</v>")}))
    bad("number-that-is-none", parts([word]), "xlsx_damaged")
    bad("no-workbook", {name: data for name, data in whole.items() if name != "xl/workbook.xml"}, "xlsx_damaged")
    bad("strict", parts([sheet(table(person(1)))], main="http://purl.oclc.org/ooxml/spreadsheetml/main"), "xlsx_unsafe")
    claim = body.replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    case("dimension-claim.xlsx", packed(whole | {"xl/worksheets/sheet1.xml": claim.encode()}))
    data = packed(whole)
    case("cut-short.xlsx", data[:-40], [(0, "", "record.xlsx_damaged")], good=0)


def other_files() -> None:
    def bad(name: str, data: bytes, code: str) -> None:
        case(name, data, [(0, "", f"record.{code}")], good=0)

    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    bad("encrypted.xlsx", ole + "EncryptedPackage".encode("utf-16-le"), "file_encrypted")
    bad("old.xls", ole + "Workbook".encode("utf-16-le"), "file_xls")
    bad("old-named.csv", b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(64), "file_xls")
    bad("other-ole.xls", ole, "file_other")
    bad("web-page.xls", "<html><table><tr><td>姓名</td></tr></table></html>".encode(), "file_html")
    bad("web-page.csv", "\ufeff\r\n<TABLE><tr><td>姓名</td></tr></TABLE>".encode(), "file_html")
    bad(
        "xml-spreadsheet.xls",
        b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
        "file_html",
    )
    ods = io.BytesIO()
    with zipfile.ZipFile(ods, "w") as archive:
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        archive.writestr(zipfile.ZipInfo("mimetype", STAMP), kind)
    bad("table.ods", ods.getvalue(), "file_ods")
    bad("binary.xlsb", packed({"[Content_Types].xml": b"<x/>", "xl/workbook.bin": b"x"}), "file_xlsb")
    bad("letter.docx", packed({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}), "file_other")
    bad("pages.xlsx", b"%PDF-1.7\n", "file_other")
    bad("archive.csv", packed({"a.csv": b"name"}), "file_other")


# Images


def picture(size: tuple[int, int] = (120, 160), mode: str = "RGB") -> Image.Image:
    image = Image.new("L", size, 60)
    image.paste(200, (0, size[1] // 2, size[0], size[1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_claim(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def images() -> None:
    folder = OUT / "images"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    good = saved(picture(), "JPEG", quality=70)
    files = {
        "good.jpg": good,
        "good.png": saved(picture(), "PNG"),
        "sign.png": saved(picture((150, 50), "L"), "PNG"),
        "turned.jpg": saved(picture((160, 120)), "JPEG", exif=exif),
        "alpha.png": saved(picture(mode="RGBA"), "PNG"),
        "palette.png": saved(picture(mode="P"), "PNG"),
        "sixteen-bit.png": saved(Image.new("I;16", (120, 160), 30_000), "PNG"),
        "named-png.jpg": saved(picture(), "PNG"),
        "lying.jpg": saved(picture((160, 120)), "JPEG"),
        "square.jpg": saved(picture((150, 150)), "JPEG"),
        "tiny.jpg": saved(picture((60, 80)), "JPEG"),
        "cmyk.jpg": saved(picture(mode="CMYK"), "JPEG"),
        "photo.heic": b"\x00\x00\x00\x18ftypheic" + bytes(64),
        "photo.avif": b"\x00\x00\x00\x18ftypavif" + bytes(64),
        "photo.webp": saved(picture(), "WEBP"),
        "photo.gif": saved(picture(mode="P"), "GIF"),
        "photo.bmp": saved(picture((90, 120), "1"), "BMP"),
        "photo.tiff": saved(picture((90, 120), "L"), "TIFF", compression="tiff_lzw"),
        "empty.jpg": b"",
        "cut.jpg": good[: len(good) // 2],
        "text.jpg": b"not a picture",
        "forty-megapixels.png": png_claim(8_000, 6_000),
        "tall-sign.png": saved(picture((30, 400), "L"), "PNG"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    fine = ("good.jpg", "good.png", "turned.jpg", "alpha.png", "palette.png", "sixteen-bit.png", "named-png.jpg")
    people = [person(n, photo=f"images/{name}") for n, name in enumerate(fine, start=1)]
    case("photos-good.csv", text(people).encode(), good=len(fine), images=True)
    wrong = {
        "lying.jpg": "image.shape", "square.jpg": "image.shape", "tiny.jpg": "image.shape", "cmyk.jpg": "image.format",
        "photo.heic": "image.format", "photo.avif": "image.format", "photo.webp": "image.format",
        "photo.gif": "image.format", "photo.bmp": "image.format", "photo.tiff": "image.format",
        "empty.jpg": "image.format", "cut.jpg": "image.format", "text.jpg": "image.format",
        "forty-megapixels.png": "image.too_large", "absent.jpg": "record.image_unreadable",
    }  # fmt: skip
    for name, code in wrong.items():
        changed = text([person(1, photo=f"images/{name}")]).encode()
        case(f"photo-{name.replace('.', '-')}.csv", changed, [(2, "photo", code)], good=0, images=True)
    sign = text([person(1, signature_image="images/tall-sign.png")]).encode()
    case("signature-shape.csv", sign, [(2, "signature_image", "image.shape")], good=0, images=True)
    outside = text([person(1, photo="../../x.jpg")]).encode()
    case("photo-outside.csv", outside, [(2, "photo", "record.bad_path")], good=0, images=True)


def main() -> None:
    """Write everything anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for make in (
        encodings, separators, headers, rows, damage, names, documents, json_files, workbooks, hostile_workbooks,
        other_files, images,
    ):  # fmt: skip
        make()
    text_of = json.dumps({"on": "2026-06-01", "files": CASES}, ensure_ascii=False, indent=1, sort_keys=True)
    (OUT / "expected.json").write_text(text_of + "\n", encoding="utf-8")
    print(f"{len(CASES)} files, {sum(path.stat().st_size for path in OUT.rglob('*') if path.is_file())} bytes")


if __name__ == "__main__":
    main()
