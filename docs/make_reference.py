"""Writes docs/commands.md from the commands' own help and docs/errors.md from the error classes' own docstrings.

Run it after changing either: `python docs/make_reference.py`. A test compares the pages with what this would write.
"""

import ast
import json
import re
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
STATUSES = (
    ("0", "成功；`verify` 全部有效", "done; `verify`: all valid"),
    ("1", "有不通过的、有警报或请求不能执行", "some not valid, alarms, or a request that cannot be met"),
    ("2", "用法有误", "wrong usage"),
    ("3", "有无法判定的（1 优先于 3）", "some cannot be decided (1 wins over 3)"),
    ("4", "读写失败，或磁盘上的数据不能用", "input or output, or what is on disk cannot be used"),
    ("70", "程序内部错误", "internal error"),
    ("130", "被 Ctrl-C 中断", "interrupted by Ctrl-C"),
)
ROOMS = ("keys", "formats", "log", "issuer", "verifier", "mingzheng")


def error_codes() -> dict[str, str]:
    """Every stable error code with the first sentence of its class's docstring."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if room == "mingzheng" and path.parent != ROOT / room:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    _collect(node, found)
    return dict(sorted(found.items()))


def _collect(node: ast.ClassDef, found: dict[str, str]) -> None:
    for item in node.body:
        if not isinstance(item, ast.Assign | ast.AnnAssign) or not isinstance(item.value, ast.Constant):
            continue
        target = item.target if isinstance(item, ast.AnnAssign) else item.targets[0]
        code = item.value.value
        if isinstance(target, ast.Name) and target.id == "code" and isinstance(code, str):
            found[code] = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def errors_page() -> str:
    """docs/errors.md as text."""
    zh = json.loads((ROOT / "mingzheng" / "errors_zh.json").read_text(encoding="utf-8"))
    lines = [
        "# 错误码 Error codes",
        "",
        "命令失败时在标准错误输出一行：`错误 error [code] …`。代码不变，可据此编程。",
        "A command that fails prints one line on standard error: `错误 error [code] …`. Codes are stable.",
        "",
        "| 退出码 status | 含义 | meaning |",
        "|---|---|---|",
        *(f"| {status} | {zh_text} | {en_text} |" for status, zh_text, en_text in STATUSES),
        "",
        "表中没有的三个代码：`usage`（用法有误，退出码 2）、`io`（文件读写失败，4）、`internal`（程序内部错误，70）。",
        "Three codes are not in the table: `usage` (status 2), `io` (4) and `internal` (70).",
        "",
        "| code | 含义与处理 | meaning |",
        "|---|---|---|",
    ]
    for code, text in error_codes().items():
        lines.append(f"| `{code}` | {zh.get(code, '')} | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """docs/commands.md as text: every command with its help."""
    from mingzheng.cli import COMMANDS, cli

    lines = [
        "# 命令 Commands",
        "",
        "一个命令 `mingzheng`；标准输出是数据，标准错误是说明；两者都是 UTF-8。",
        "One command `mingzheng`; standard output is data, standard error is talk; both are UTF-8.",
        "",
    ]
    context = click.Context(cli, info_name="mingzheng", help_option_names=cli.context_settings["help_option_names"])
    lines += _entry(cli, "mingzheng", context)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        lines += _walk(command, f"mingzheng {name}", context)
    return "\n".join(lines) + "\n"


def _walk(command: click.Command, path: str, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=path.rsplit(" ", 1)[-1], parent=parent)
    lines = _entry(command, path, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            lines += _walk(child, f"{path} {name}", context)
    return lines


def _entry(command: click.Command, path: str, context: click.Context) -> list[str]:
    context.max_content_width = 100
    context.terminal_width = 100
    text = re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE)
    return [f"## `{path}`", "", "```", text, "```", ""]


def main() -> None:
    """Write both pages."""
    (ROOT / "docs" / "errors.md").write_text(errors_page(), encoding="utf-8")
    (ROOT / "docs" / "commands.md").write_text(commands_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
