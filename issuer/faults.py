"""What can be wrong with a file of application records: one row of a table per fault, in Chinese and English.

Files as such: `filefaults`; what spreadsheets do to cells, names, identity documents: `cellfaults`.

Spec: docs/records.md. A message names row, column, lengths and known names; never a value out of the file (it
could be a holder's name or identity number). Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.issuer.cellfaults import CELL_FAULTS
from mingzheng.issuer.faulttext import FaultText, Severity
from mingzheng.issuer.filefaults import FILE_FAULTS

__all__ = ["FAULTS", "Fault", "FaultText", "Severity", "make_fault", "name_cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. `row` as a spreadsheet counts (header = 1; JSON: first record = 1); 0 = the whole file."""

    row: int
    field: str  # column name, "" = the whole row or file
    code: str
    message_zh: str
    message_en: str
    remedy_zh: str
    remedy_en: str
    severity: Severity = Severity.FAULT
    cell: str = ""  # as a spreadsheet names it, such as C7; "" where there is none


_ROWS: Final[Mapping[str, FaultText]] = {
    # the file; more in `filefaults`
    "record.too_many_keys": FaultText(
        "不认识的键超过 {limit} 种，其余未检查",
        "more than {limit} different keys that are no columns; nothing else was looked at",
        "只导出模板中的列",
        "export the columns of the template only",
    ),
    "record.too_many_rows": FaultText(
        "记录超过 {limit} 条",
        "more than {limit} records",
        "分成几个文件",
        "split it into several files",
    ),
    "record.empty_file": FaultText(
        "文件里没有记录",
        "the file holds no record",
        "第一行写列名，其后每行一条记录",
        "write column names in the first row and one record per row below",
    ),
    "record.csv_syntax": FaultText(
        "此处起无法按 CSV 读取（引号不成对或单元格过长）",
        "not readable as CSV from here on (unbalanced quotes or an oversized cell)",
        "检查该行的双引号",
        "check the double quotes of this row",
    ),
    "record.json_syntax": FaultText(
        "不是所要求的 JSON：由对象组成的数组，键不重复，不用小数",
        "not the JSON asked for: an array of objects, no key twice, no fractions",
        "以模板为准重新导出",
        "export it again after the template",
    ),
    # the header
    "record.unknown_column": FaultText(
        "第 {place} 列的列名未知，最接近的是 {nearest}",
        "the name of column {place} is unknown; the nearest known one is {nearest}",
        "改为 {nearest}，或删除该列",
        "rename it to {nearest} or delete the column",
    ),
    "record.duplicate_column": FaultText(
        "列名重复（第 {place} 列）",
        "a column name twice (column {place})",
        "删除其中一列",
        "delete one of them",
    ),
    "record.missing_column": FaultText(
        "缺少这一列",
        "this column is missing",
        "加上这一列；列名见模板",
        "add the column; the template has all names",
    ),
    "record.cell_count": FaultText(
        "该行有 {got} 个单元格，应为 {want} 个",
        "the row has {got} cells, {want} expected",
        "检查多余或缺少的逗号；含逗号的内容要加双引号",
        "look for a comma too many or too few; put cells with commas in double quotes",
    ),
    # a cell
    "record.unknown_key": FaultText(
        "有未知的键，最接近的是 {nearest}",
        "an unknown key; the nearest known one is {nearest}",
        "改名或删除",
        "rename or delete it",
    ),
    "record.not_text": FaultText(
        "应为文本",
        "text expected",
        "把值写成带引号的文本",
        "write the value as a quoted text",
    ),
    "record.required": FaultText("不能为空", "must not be empty", "填写这一项", "fill it in"),
    "record.cell_too_long": FaultText(
        "共 {got} 个字符，最多 {limit} 个",
        "{got} characters, at most {limit} fit",
        "删减 {cut} 个字符",
        "cut {cut} characters",
    ),
    "record.text": FaultText(
        "第 {place} 个字符不允许使用（不可见、控制、私用区或未规范化的字符）",
        "character {place} is not allowed (invisible, control, private-use or not normalised)",
        "重新输入这一项，不要从网页复制",
        "type the value again instead of copying it from a page",
    ),
    "record.bad_date": FaultText(
        "日历上没有这一天，或写法有歧义",
        "no day of the calendar, or written ambiguously",
        "写成 2022-06-27、2022/6/27 或 2022年6月27日",
        "write 2022-06-27, 2022/6/27 or 2022年6月27日",
    ),
    "record.date_range": FaultText(
        "日期超出 {low} 至 {high}",
        "the date is outside {low} to {high}",
        "更正年份",
        "correct the year",
    ),
    "record.bad_sex": FaultText("性别不明", "unknown sex", "写 男 或 女", "write 男 or 女 (1 or 2)"),
    "record.bad_kind": FaultText(
        "未知的证书种类，最接近的是 {nearest}",
        "unknown kind of certificate; the nearest known one is {nearest}",
        "写成 {nearest} 这样的种类标识",
        "write a kind id such as {nearest}",
    ),
    "record.bad_jurisdiction": FaultText(
        "不是地区代码",
        "not a code of a jurisdiction",
        "全国写 0，省级写 GB/T 2260 的两位数字或字母代码，如上海 31 或 sh",
        "0 for national, else two digits or letters of GB/T 2260, such as 31 or sh for Shanghai",
    ),
    "record.bad_path": FaultText(
        "图片路径只能是本文件所在目录下的相对路径",
        "an image path must be relative and stay below the directory of this file",
        "把图片放在同一目录下，只写文件名",
        "put the image beside this file and write its name only",
    ),
    # identity number: the fault never says more than which test failed
    "record.id_number_form": FaultText(
        "居民身份证号码应为 17 位数字加一位校验码",
        "the number of a resident identity card has 17 digits and one check character",
        "对照证件更正；其他证件请填写 id_type",
        "correct it from the document; of another document give id_type",
    ),
    "record.id_number_check": FaultText(
        "身份号码的校验码不符（GB 11643）",
        "the check character of the identity number is wrong (GB 11643)",
        "对照证件更正",
        "correct it from the document",
    ),
    "record.id_number_birth": FaultText(
        "身份号码与出生日期不一致",
        "identity number and date of birth disagree",
        "对照证件更正其中之一",
        "correct one of them from the document",
    ),
    "record.id_number_sex": FaultText(
        "身份号码与性别不一致",
        "identity number and sex disagree",
        "对照证件更正其中之一",
        "correct one of them from the document",
    ),
    # specialties
    "record.specialty_syntax": FaultText(
        "第 {place} 个专业写法有误",
        "specialty {place} is not written as expected",
        "写成 建筑工程:2023-01-01:2026-01-01，多个专业用分号隔开",
        "write 建筑工程:2023-01-01:2026-01-01, several joined by semicolons",
    ),
    "record.specialty_dates": FaultText(
        "第 {place} 个专业的起止日期有误",
        "the dates of specialty {place} are wrong",
        "起始日期不得晚于截止日期",
        "the first day must not lie after the last",
    ),
    "record.specialty_twice": FaultText(
        "第 {place} 个专业重复",
        "specialty {place} stands twice",
        "删除其中一个",
        "delete one of them",
    ),
    "record.specialty_count": FaultText(
        "专业超过 {limit} 个",
        "more than {limit} specialties",
        "删减专业",
        "delete some",
    ),
    "record.specialty_unknown": FaultText(
        "第 {place} 个专业不在该种类的专业表中，最接近的是 {nearest}",
        "specialty {place} is not one of this kind; the nearest known one is {nearest}",
        "改为 {nearest}，或写官方代码",
        "write {nearest} or its official code",
    ),
    "record.specialty_missing": FaultText(
        "该种类必须有注册专业",
        "this kind needs at least one specialty",
        "填写注册专业及其有效期",
        "fill in the specialties with their dates",
    ),
    "record.specialty_unexpected": FaultText(
        "该种类没有注册专业",
        "this kind has no specialties",
        "清空这一项",
        "leave it empty",
    ),
    # against each other
    "record.birth_after_issue": FaultText(
        "出生日期晚于证书签发日期",
        "the date of birth lies after the certificate's day of issue",
        "更正其中之一",
        "correct one of them",
    ),
    "record.issue_after_end": FaultText(
        "证书签发日期晚于注册有效期截止日期",
        "the certificate's day of issue lies after the end of the registration",
        "更正其中之一",
        "correct one of them",
    ),
    "record.duplicate_row": FaultText(
        "与第 {other} 行重复（同种类、同注册编号、同用途）",
        "the same as row {other} (kind, registration number and purpose)",
        "删除其中一行",
        "delete one of the rows",
    ),
    "record.conflicting_rows": FaultText(
        "与第 {other} 行注册编号相同而内容不同",
        "row {other} has the same registration number and other data",
        "核对后更正其中一行",
        "find out which is right and correct the other",
    ),
    "record.conflicting_images": FaultText(
        "与第 {other} 行注册编号相同而图片不同",
        "row {other} has the same registration number and another image",
        "核对后两行用同一张图片",
        "find out which is right and give both rows the same image",
    ),
    # against the profile and the issuer
    "record.no_profile": FaultText(
        "没有适用于该种类、地区和日期的规则文件",
        "no profile governs this kind and jurisdiction on this day",
        "核对种类和地区；或更新规则文件",
        "check kind and jurisdiction, or update the profiles",
    ),
    "record.registration_no_form": FaultText(
        "注册编号不符合该种类的编号结构",
        "the registration number has not the form of this kind",
        "形如 沪1312006200712345：省简称、等级、两位省份、年份、五位序号",
        "as in 沪1312006200712345: province, grade, two-digit province, years, five-digit serial",
    ),
    "record.employer_missing": FaultText(
        "该种类必须有聘用企业", "this kind needs an employer", "填写聘用企业", "fill in the employer"
    ),
    "record.employer_unexpected": FaultText(
        "该种类没有聘用企业一项", "this kind names no employer", "清空这一项", "leave it empty"
    ),
    "record.photo_missing": FaultText(
        "该种类必须有照片", "this kind needs a photo", "填写照片文件名", "give the file of the photo"
    ),
    "record.signature_image_missing": FaultText(
        "该种类必须有签名图像",
        "this kind needs a signature image",
        "填写签名图像文件名",
        "give the file of the signature image",
    ),
    "record.unknown_body": FaultText(
        "机构不在签发机关的机构表中，最接近的是 {nearest}",
        "the issuer's record does not name this body; the nearest is {nearest}",
        "改为 {nearest}，或写其编号",
        "write {nearest} or its number",
    ),
    # against the ledger
    "record.already_issued": FaultText(
        "台账里已有同一天的同一份（序号 {serial}），不会再占用新号",
        "the ledger has this very copy of the same day (serial {serial}): no new one is used",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.issued_before": FaultText(
        "{day} 已签发过同样数据、同样用途的一份（序号 {serial}）",
        "a copy with the same data and purpose was issued on {day} (serial {serial})",
        "确认需要再签发一份；否则去掉该行",
        "make sure that another one is wanted, else take the row out",
        Severity.NOTE,
    ),
}
FAULTS: Final[Mapping[str, FaultText]] = {**FILE_FAULTS, **CELL_FAULTS, **_ROWS}


def make_fault(row: int, field: str, code: str, **arguments: int | str) -> Fault:
    """Return the fault of a code of `FAULTS`; the arguments are lengths, places and known names only."""
    text = FAULTS[code]
    return Fault(
        row=row,
        field=field,
        code=code,
        message_zh=text.message_zh.format(**arguments),
        message_en=text.message_en.format(**arguments),
        remedy_zh=text.remedy_zh.format(**arguments),
        remedy_en=text.remedy_en.format(**arguments),
        severity=text.severity,
    )


def name_cells(faults: Iterable[Fault], columns: Sequence[str]) -> tuple[Fault, ...]:
    """The faults with the cells they speak of; `columns` as the file has them, none for a file without cells."""
    places = {column: _letters(place) for place, column in enumerate(columns, start=1)}
    return tuple(
        replace(fault, cell=f"{places[fault.field]}{fault.row}") if fault.row and fault.field in places else fault
        for fault in faults
    )


def _letters(place: int) -> str:
    """A, B, ..., Z, AA, ..."""
    letters = ""
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
