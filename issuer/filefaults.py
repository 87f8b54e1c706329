"""What can be wrong with a records file as such: its kind, encoding, workbook, hidden and merged parts. Pure.

Spec: docs/records.md.
"""

from collections.abc import Mapping
from typing import Final

from mingzheng.issuer.faulttext import FaultText, Severity

__all__ = ["FILE_FAULTS"]

FILE_FAULTS: Final[Mapping[str, FaultText]] = {
    "record.encoding": FaultText(
        "文件编码无法识别（不是 UTF-8、GB18030 或 UTF-16）",
        "the encoding is not known (neither UTF-8, GB18030 nor UTF-16)",
        "另存为“CSV UTF-8（逗号分隔）”或 .xlsx",
        "save it as “CSV UTF-8 (comma delimited)” or .xlsx",
    ),
    "record.encoding_guessed": FaultText(
        "文件没有编码标记，按 {encoding} 读取",
        "the file bears no mark of its encoding and was read as {encoding}",
        "核对几个姓名；最好另存为“CSV UTF-8（逗号分隔）”",
        "look at some names; better save it as “CSV UTF-8 (comma delimited)”",
        Severity.NOTE,
    ),
    "record.file_html": FaultText(
        "文件是网页（HTML 或 XML），只是名字像表格",
        "the file is a web page (HTML or XML) that is only named like a table",
        "用 Excel 或 WPS 打开，另存为 .xlsx 或“CSV UTF-8（逗号分隔）”",
        "open it in a spreadsheet and save it as .xlsx or “CSV UTF-8 (comma delimited)”",
    ),
    "record.file_xls": FaultText(
        "文件是旧的 Excel 97–2003 格式（.xls）",
        "the file is in the old format of Excel 97–2003 (.xls)",
        "用 Excel 或 WPS 打开，另存为 .xlsx",
        "open it in a spreadsheet and save it as .xlsx",
    ),
    "record.file_xlsb": FaultText(
        "文件是二进制 Excel 工作簿（.xlsb）",
        "the file is a binary Excel workbook (.xlsb)",
        "另存为 .xlsx",
        "save it as .xlsx",
    ),
    "record.file_ods": FaultText(
        "文件是 OpenDocument 表格（.ods）",
        "the file is an OpenDocument spreadsheet (.ods)",
        "另存为 .xlsx 或“CSV UTF-8（逗号分隔）”",
        "save it as .xlsx or “CSV UTF-8 (comma delimited)”",
    ),
    "record.file_encrypted": FaultText(
        "工作簿有打开密码，无法读取",
        "the workbook is encrypted with a password",
        "在 Excel 中去掉打开密码后保存",
        "remove the password to open it and save it again",
    ),
    "record.file_other": FaultText(
        "文件不是表格（是 {what}）",
        "the file is no table (it is {what})",
        "交来 .xlsx 或 CSV 文件",
        "give a .xlsx or CSV file",
    ),
    "record.xlsx_library": FaultText(
        "读取 .xlsx 需要 openpyxl，这里没有安装",
        "openpyxl, which reads .xlsx, is not installed here",
        '安装：pip install "mingzheng[xlsx]"；或另存为“CSV UTF-8（逗号分隔）”',
        'install it: pip install "mingzheng[xlsx]"; or save the file as “CSV UTF-8 (comma delimited)”',
    ),
    "record.xlsx_damaged": FaultText(
        "工作簿已损坏或不完整",
        "the workbook is damaged or cut short",
        "用 Excel 或 WPS 打开并重新保存",
        "open it in a spreadsheet and save it again",
    ),
    "record.xlsx_unsafe": FaultText(
        "工作簿内部结构不正常（{what}），不予读取",
        "the workbook is built in a way that is not read ({what})",
        "用 Excel 或 WPS 打开，另存为新的 .xlsx；来源不明的文件不要打开",
        "save it anew as .xlsx from a spreadsheet; do not open it if you do not know who made it",
    ),
    "record.xlsx_too_large": FaultText(
        "工作簿解开后过大（{what}），不予读取",
        "the workbook is too large when unpacked ({what}) and is not read",
        "把需要的行复制到新的工作簿",
        "copy the rows that are needed into a new workbook",
    ),
    "record.xlsx_columns": FaultText(
        "内容超出第 {limit} 列",
        "there is content beyond column {limit}",
        "删除模板以外的列",
        "delete the columns that the template has not",
    ),
    "record.several_sheets": FaultText(
        "有 {count} 个工作表有内容",
        "{count} sheets have content",
        "只保留一个工作表，其余另存",
        "keep one sheet and save the others elsewhere",
    ),
    "record.hidden_sheet": FaultText(
        "有 {count} 个隐藏的工作表，未读取",
        "{count} hidden sheets were not read",
        "确认其中没有要签发的记录",
        "make sure that they hold no record to be issued",
        Severity.NOTE,
    ),
    "record.hidden_row": FaultText(
        "该行被隐藏或筛选掉",
        "this row is hidden or filtered out",
        "取消隐藏，或删除该行",
        "unhide the row, or delete it",
    ),
    "record.hidden_column": FaultText(
        "第 {place} 列被隐藏",
        "column {place} is hidden",
        "取消隐藏，或删除该列",
        "unhide the column, or delete it",
    ),
    "record.merged_cells": FaultText(
        "该行有合并的单元格",
        "cells are merged in this row",
        "取消合并，逐格填写",
        "unmerge the cells and fill in each one",
    ),
    "record.rows_above_header": FaultText(
        "列名不在第一行，而在第 {place} 行",
        "the column names are not in the first row but in row {place}",
        "删除列名以上的标题行",
        "delete the title rows above the column names",
    ),
    "record.file_too_large": FaultText(
        "文件超过 {limit} 字节",
        "the file has more than {limit} bytes",
        "分成几个文件",
        "split it into several files",
    ),
}
