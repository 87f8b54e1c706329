"""Options and arguments that the commands of `mingzheng rules` share."""

from collections.abc import Callable
from typing import TypeVar

import click

from mingzheng.formats.civil import MIN_DAY, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import ProfileSet
from mingzheng.issuer.cells import CellError, read_jurisdiction
from mingzheng.issuer.faults import make_fault
from mingzheng.issuer.record import nearest

__all__ = ["day_option", "days_option", "kind_code", "place_option", "read_day", "read_days", "read_optional_day"]

F = TypeVar("F", bound=Callable[..., object])

LAST_DAY = 47_846  # 2100-12-31; later days are slips of the keyboard


def read_day(ctx: click.Context, param: click.Parameter, text: str) -> int:
    """Read a day that must be there."""
    try:
        day = parse_day(text)
    except ValueError:
        raise click.BadParameter("日期写成 YYYY-MM-DD (a day is written YYYY-MM-DD)", ctx, param) from None
    if not MIN_DAY <= day <= LAST_DAY:
        raise click.BadParameter("应在 1900 至 2100 年之间 (a day lies between 1900 and 2100)", ctx, param)
    return day


def read_optional_day(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """Read a day that may be absent."""
    return None if text is None else read_day(ctx, param, text)


def read_days(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    """Read days."""
    return tuple(read_day(ctx, param, text) for text in texts)


def _read_place(ctx: click.Context, param: click.Parameter, text: str) -> int:
    try:
        return read_jurisdiction(text)
    except CellError as error:
        fault = make_fault(0, "", error.code)
        raise click.BadParameter(f"{fault.remedy_zh} ({fault.remedy_en})", ctx, param) from None


def day_option(name: str, text: str, *, required: bool = False) -> Callable[[F], F]:
    """An option whose value is a day."""
    return click.option(name, callback=read_day if required else read_optional_day, required=required, help=text)


def days_option(name: str, text: str) -> Callable[[F], F]:
    """An option whose value is a day and that may be repeated."""
    return click.option(name, callback=read_days, multiple=True, help=text)


def place_option(command: F) -> F:
    """The option `--jurisdiction`."""
    return click.option(
        "--jurisdiction",
        callback=_read_place,
        default="0",
        show_default=True,
        help="GB/T 2260 code, 31 or sh. 地区代码。",
    )(command)


def kind_code(kind: str, profiles: ProfileSet | None = None) -> int:
    """The code of a kind id, of the shipped profiles or these; wrong usage, with the nearest id, if there is none."""
    profiles = load_shipped_profiles() if profiles is None else profiles
    code = profiles.code_of(kind)
    if code is None:
        known = profiles.ids()
        raise click.UsageError(
            f"没有这个种类，最接近的是 (unknown kind, the nearest is) {nearest(kind, known)};"
            f" 可用 (known): {', '.join(known)}"
        )
    return code
