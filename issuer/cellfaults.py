"""What spreadsheets do to cells, what characters a text may not hold, and numbers of identity documents. Pure.

Spec: docs/records.md.
"""

from collections.abc import Mapping
from typing import Final

from mingzheng.issuer.faulttext import FaultText, Severity

__all__ = ["CELL_FAULTS"]

CELL_FAULTS: Final[Mapping[str, FaultText]] = {
    "record.scientific": FaultText(
        "号码被表格软件写成了科学计数（如 3.2E+17），后几位已丢失",
        "a spreadsheet wrote the number in scientific notation (as in 3.2E+17): its last digits are lost",
        "把该列设为“文本”，从原始资料重新填写",
        "format the column as text and enter the number again from the source",
    ),
    "record.number_rounded": FaultText(
        "单元格是超过 15 位的数值，后几位已被表格软件改为 0",
        "the cell is a number of more than 15 digits: the spreadsheet made its last ones 0",
        "把该列设为“文本”，从原始资料重新填写",
        "format the column as text and enter the number again from the source",
    ),
    "record.id_number_rounded": FaultText(
        "号码末三位为 000 且校验码不符：像是被表格软件舍入",
        "the number ends in 000 and its check character is wrong: a spreadsheet seems to have rounded it",
        "把该列设为“文本”，对照证件重新填写",
        "format the column as text and enter the number again from the document",
    ),
    "record.id_number_zeros": FaultText(
        "号码末三位为 000，与被表格软件舍入的号码同形",
        "the number ends in 000, as one does that a spreadsheet has rounded",
        "对照证件核对",
        "compare it with the document",
        Severity.NOTE,
    ),
    "record.date_serial": FaultText(
        "是表格软件的日期序号，不是日期",
        "a spreadsheet's serial number of a day instead of a date",
        "把该列设为“日期”或“文本”，写成 2022-06-27",
        "format the column as date or text and write 2022-06-27",
    ),
    "record.cell_date": FaultText(
        "表格软件把这一项变成了日期",
        "a spreadsheet has turned this cell into a date",
        "把该列设为“文本”，重新填写",
        "format the column as text and enter it again",
    ),
    "record.cell_boolean": FaultText(
        "是逻辑值 TRUE/FALSE",
        "a logical value, TRUE or FALSE",
        "填写实际内容",
        "enter what is meant",
    ),
    "record.cell_error": FaultText(
        "是公式错误（如 #N/A）",
        "an error of a formula (such as #N/A)",
        "更正公式，或直接填写",
        "mend the formula, or enter the value itself",
    ),
    "record.formula_uncalculated": FaultText(
        "是公式，但文件里没有存它的结果",
        "a formula whose result is not stored in the file",
        "用 Excel 打开并保存，或“粘贴为数值”",
        "open and save it in a spreadsheet, or paste the values",
    ),
    "record.formula": FaultText(
        "第 {place} 列有 {count} 个公式，取其存下的结果",
        "column {place} has {count} formulas; their stored results are taken",
        "最好“粘贴为数值”",
        "better paste them as values",
        Severity.NOTE,
    ),
    "record.number_cell": FaultText(
        "号码存成了数值：原有的前导零会丢失",
        "stored as a number: leading zeros it had are lost",
        "核对；把该列设为“文本”",
        "look at it, and format the column as text",
        Severity.NOTE,
    ),
    "record.short_number": FaultText(
        "比同种类其他号码短 {count} 位：可能丢了前导零",
        "{count} digits shorter than the other numbers of this kind: leading zeros may be lost",
        "对照原始资料核对",
        "compare it with the source",
        Severity.NOTE,
    ),
    "record.decimal": FaultText(
        "号码带“.0”，已去掉",
        "the number had “.0” behind it, which was dropped",
        "把该列设为“文本”",
        "format the column as text",
        Severity.NOTE,
    ),
    "record.fullwidth": FaultText(
        "全角数字或字母已按半角读入",
        "full-width digits or letters were read as ordinary ones",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.apostrophe": FaultText(
        "开头的撇号已去掉",
        "an apostrophe in front was dropped",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.formula_text": FaultText(
        '="…" 的写法已还原为文本',
        'text written as ="…" was read as text',
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.odd_space": FaultText(
        "不间断空格、全角空格等已改为普通空格",
        "no-break, ideographic or other odd spaces became ordinary ones",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.inner_space": FaultText(
        "号码中间的空格已去掉",
        "spaces inside the number were dropped",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.interpunct": FaultText(
        "间隔号已统一为“·”（U+00B7）",
        "the dots of the name became U+00B7",
        "无须处理",
        "nothing to do",
        Severity.NOTE,
    ),
    "record.name_space": FaultText(
        "姓名第 {place} 个字符是空格，会照样印出",
        "character {place} of the name is a space and is printed so",
        "若不属于姓名请删除",
        "delete it if it does not belong to the name",
        Severity.NOTE,
    ),
    "record.invisible": FaultText(
        "第 {place} 个字符 {codepoint} 是不可见或控制方向的字符",
        "character {place}, {codepoint}, is invisible or controls the direction of text",
        "删除整项后重新输入",
        "clear the cell and type it again",
    ),
    "record.private_use": FaultText(
        "第 {place} 个字符 {codepoint} 在私用区：换一台机器就是另一个字",
        "character {place}, {codepoint}, is private-use: another machine shows another character",
        "用国家标准编码的字重新输入",
        "enter the character that the standard encodes",
    ),
    "record.compatibility": FaultText(
        "第 {place} 个字符 {codepoint} 是兼容字符，应为 {instead}",
        "character {place}, {codepoint}, is a compatibility character that stands for {instead}",
        "改为 {instead}",
        "enter {instead}",
    ),
    "record.radical": FaultText(
        "第 {place} 个字符 {codepoint} 是部首，不是文字",
        "character {place}, {codepoint}, is a radical and no character of its own",
        "重新输入该字，不要从 PDF 复制",
        "type the character again instead of copying it from a PDF",
    ),
    "record.lost_character": FaultText(
        "第 {place} 个字符是丢字的替代符号（如 ? 或 □）",
        "character {place} stands for one that was lost (such as ? or □)",
        "从原始资料重新输入；保存时选 .xlsx 或“CSV UTF-8”",
        "enter it again from the source; save as .xlsx or “CSV UTF-8”",
    ),
    "record.id_type": FaultText(
        "证件类型未知",
        "unknown kind of identity document",
        "写 居民身份证、护照、港澳居民来往内地通行证、台湾居民来往大陆通行证、港澳台居民居住证 或 外国人永久居留身份证",
        "write resident, passport, hk-macao-pass, taiwan-pass, residence-permit or permanent-resident",
    ),
    "record.passport_form": FaultText(
        "护照号码应为 5 至 20 位字母和数字",
        "a passport number has 5 to 20 letters and digits",
        "对照证件更正",
        "correct it from the document",
    ),
    "record.hk_macao_pass_form": FaultText(
        "港澳居民来往内地通行证号码应为 H 或 M 加 8 位或 10 位数字",
        "the number of this pass is H or M and 8 or 10 digits",
        "对照证件更正",
        "correct it from the document",
    ),
    "record.taiwan_pass_form": FaultText(
        "台湾居民来往大陆通行证号码应为 8 至 12 位数字和字母",
        "the number of this pass has 8 to 12 digits and letters",
        "对照证件更正",
        "correct it from the document",
    ),
    "record.residence_permit_form": FaultText(
        "港澳台居民居住证号码应为 810000、820000 或 830000 开头的 18 位",
        "the number of a residence permit has 18 characters and begins with 810000, 820000 or 830000",
        "对照证件更正",
        "correct it from the document",
    ),
    "record.permanent_resident_form": FaultText(
        "外国人永久居留身份证号码应为 9 开头的 18 位，或 3 个字母加 12 位数字",
        "the number of this card is 18 characters beginning with 9, or 3 letters and 12 digits",
        "对照证件更正",
        "correct it from the document",
    ),
}
