"""Options that the issuing commands share, and what every command does with them: open, ask, read the clock, print.

Source: DESIGN §9, §11. Passphrases come from the terminal, a file or a descriptor, never from an argument or the
environment; PINs of tokens from the terminal or the environment. The clock is read once per command.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_start, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.cells import CellError, read_jurisdiction
from mingzheng.issuer.config import CREDENTIAL_ALGS
from mingzheng.issuer.issuinglog import IssuingLog
from mingzheng.issuer.operators import check_new_names
from mingzheng.issuer.refusals import OptionError
from mingzheng.issuer.sealconfig import FORMATS, TokenSpec
from mingzheng.issuer.workspace import Access, FileVault, NewOperator, Workspace
from mingzheng.keys.custody import read_passphrase
from mingzheng.keys.errors import PassphraseError, SealTokenError
from mingzheng.log.instance import default_memory_dir
from mingzheng.log.statusmaker import ListingLog

LOG_URL: Final = "MINGZHENG_LOG_URL"
_F = TypeVar("_F", bound=Callable[..., Any])
MAX_NUMBER: Final = 2**40 - 1  # the largest serial of the log
_PIN_HINT = "an environment variable with `pin_env` in mingzheng.toml"


class NumberType(click.types.IntParamType):
    """A whole number as the ledger and the log take it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click. Fails for what is no number or too large."""
        number = super().convert(value, param, ctx)
        assert isinstance(number, int)
        if abs(number) > MAX_NUMBER:
            self.fail("数字太大 (the number is too large)", param, ctx)
        return number


NUMBER: Final = NumberType()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where the passphrase comes from."""

    file: Path | None
    fd: int | None
    confirm: bool = False

    def read(self) -> bytes:
        """Read it; asks at the terminal if neither file nor descriptor is given."""
        if self.file is None and self.fd is None:
            return read_passphrase(prompt="工作区口令 workspace passphrase: ", confirm=self.confirm)
        return read_passphrase(file=self.file, fd=self.fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSecret:
    """Where an operator's own passphrase comes from."""

    file: Path | None
    fd: int | None
    confirm: bool = False

    def read(self, name: str) -> bytes:
        """Read it; asks that person at the terminal if neither file nor descriptor is given."""
        if self.file is None and self.fd is None:
            return read_passphrase(prompt=f"{name} 的口令 passphrase of {name}: ", confirm=self.confirm)
        return read_passphrase(file=self.file, fd=self.fd)


def person_secret(options: dict[str, Any], at: int = 0, *, confirm: bool = False) -> PersonSecret:
    """The passphrase of the `at`-th operator of a command: files and descriptors come in the order of the names."""
    files, fds = options["operator_files"], options["operator_fds"]
    file = files[at] if at < len(files) else None
    fd = fds[at] if file is None and at < len(fds) else None
    return PersonSecret(file=file, fd=fd, confirm=confirm)


def new_operators(names: tuple[str, ...], options: dict[str, Any]) -> tuple[NewOperator, ...]:
    """Persons who get a key now, each asked for a passphrase of their own. Raises OptionError for a shared one."""
    check_new_names(names)
    found = tuple(
        NewOperator(name=name, passphrase=person_secret(options, at, confirm=True).read(name))
        for at, name in enumerate(names)
    )
    if len({person.passphrase for person in found}) != len(found):
        raise OptionError("每名经办人须用自己的口令", "each operator takes a passphrase of their own")
    return found


def options_of(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Several options as one decorator."""

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def read_day(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """A day; None stays None."""
    try:
        return None if text is None else parse_day(text)
    except ValueError:
        raise click.BadParameter("日期写成 YYYY-MM-DD (a day is written YYYY-MM-DD)", ctx, param) from None


def read_body(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[int, str]:
    """NUMBER=NAME, each number once."""
    found: dict[int, str] = {}
    for text in texts:
        number, mark, name = text.partition("=")
        if not (mark and name and number.isascii() and number.isdecimal()) or int(number) in found:
            raise click.BadParameter("写成 编号=名称，编号不重复 (NUMBER=NAME, each number once)", ctx, param)
        found[int(number)] = name
    return found


def read_regions(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    """Codes of regions, rising."""
    try:
        return tuple(sorted({read_jurisdiction(text) for text in texts}))
    except CellError:
        raise click.BadParameter("写成 cn、sh 或 31 这样的代码 (a code such as cn, sh or 31)", ctx, param) from None


def read_kinds(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    """Codes of kinds, rising."""
    profiles, codes = load_shipped_profiles(), []
    for text in texts:
        code = profiles.code_of(text)
        if code is None:
            known = ", ".join(profiles.ids())
            raise click.BadParameter(f"未知的种类 (unknown kind); 可用 known: {known}", ctx, param)
        codes.append(code)
    return tuple(sorted(set(codes)))


WORKSPACE = click.option(
    "--workspace",
    required=True,
    envvar="MINGZHENG_WORKSPACE",
    type=click.Path(path_type=Path),
    help="Workspace. 工作区。",
)
SECRET = options_of(
    click.option(
        "--passphrase-file", type=click.Path(path_type=Path), help="File (0600) with the passphrase. 口令文件。"
    ),
    click.option("--passphrase-fd", type=int, help="Descriptor to read the passphrase from. 口令描述符。"),
)
LANG = click.option(
    "--lang",
    type=click.Choice(["zh", "en"]),
    default="zh",
    show_default=True,
    envvar="MINGZHENG_LANG",
    help="Language. 语言。",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object per line. 每行一个 JSON。")
AS_OF = click.option("--as-of", callback=read_day, help="Day to act on, demo workspaces only. 日期，仅限演示工作区。")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would happen, change nothing. 只预览，不改动。")
ISSUER_NUMBER = click.option("--issuer", "issuer", type=NUMBER, help="Issuer number. 机构编号。")
ORIGIN = click.option(
    "--origin",
    type=click.IntRange(1, 65535),
    help="Number of the log, by default the one that is written to. 日志编号，默认是正在写入的日志。",
)
REASON = click.option("--reason", required=True, help="Why; kept in the ledger only. 事由（仅存台账）。")
PERSON_SECRET = options_of(
    click.option(
        "--operator-passphrase-file",
        "operator_files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="File (0600) with the operator's own passphrase; one for each. 经办人口令文件。",
    ),
    click.option(
        "--operator-passphrase-fd",
        "operator_fds",
        multiple=True,
        type=int,
        help="Descriptor to read it from. 经办人口令描述符。",
    ),
)
OPERATOR = options_of(
    click.option("--operator", help="Who you are, where the issuer has operators. 经办人（机构设有经办人时必填）。"),
    PERSON_SECRET,
)
OPERATOR_NEEDED = options_of(
    click.option("--operator", required=True, help="Who you are. 经办人。"),
    PERSON_SECRET,
)
OPERATORS = options_of(
    click.option(
        "--operator",
        "operators",
        multiple=True,
        help="A person whose key signs acts; two are needed to revoke or void. 经办人，至少两名。",
    ),
    PERSON_SECRET,
    click.option(
        "--one-person",
        is_flag=True,
        help="No operators: whoever has the passphrase revokes alone. 不设经办人：持口令者一人即可撤销、作废。",
    ),
)
YES = click.option("--yes", is_flag=True, help="Do not ask. 不再询问。")
TARGET = options_of(
    click.option("--registration", help="Registration number. 注册编号。"),
    click.option("--kind", help="Kind, with --registration. 证书种类。"),
    click.option("--serial", type=NUMBER, help="One copy instead of the registration. 单份序号。"),
    ISSUER_NUMBER,
)
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="What to make; by default what mingzheng.toml says, else pdf. 文件格式。",
)
COMMON = options_of(WORKSPACE, SECRET, AS_OF, LANG, JSON)
SCOPE = options_of(
    click.option("--name-en", help="Name in English. 英文名称。"),
    click.option(
        "--kind", "kinds", multiple=True, callback=read_kinds, help="Kind it may issue; repeatable. 证书种类。"
    ),
    click.option(
        "--jurisdiction", "jurisdictions", multiple=True, callback=read_regions, help="Region; repeatable. 地区。"
    ),
    click.option(
        "--body", "bodies", multiple=True, callback=read_body, help="NUMBER=NAME; repeatable. 机关：编号=名称。"
    ),
    click.option("--prefix", "prefixes", multiple=True, help="https://host/path# before QR digits. 二维码网址前缀。"),
    click.option(
        "--credential-alg",
        type=click.Choice(list(CREDENTIAL_ALGS)),
        default="ed25519",
        show_default=True,
        help="What signs its credentials. 凭证签名算法（sm2 为国密）。",
    ),
    click.option("--valid-from", callback=read_day, help="First day of the keys. 密钥起用日。"),
    click.option("--valid-until", callback=read_day, help="Last day of the keys. 密钥截止日。"),
)


def access_of(secret: Secret) -> Access:
    """Keys on disk under a passphrase that is asked for when it is first needed; the log where LOG_URL says."""
    memory, url = default_memory_dir(os.environ), os.environ.get(LOG_URL)
    remote, follow = (None, None) if not url else (partial(_remote, url), partial(_follow, url))
    return Access(
        passphrase=secret.read, vault=FileVault(), memory_dir=memory, pin=read_pin, remote=remote, follow=follow
    )


def _remote(url: str, workspace: Workspace) -> IssuingLog:
    from mingzheng.issuer.remote import open_remote  # HTTP is not loaded where nobody asks for it

    return open_remote(url, workspace)


def _follow(url: str, workspace: Workspace) -> ListingLog:
    from mingzheng.issuer.remote import open_followed
    from mingzheng.log.httpfetch import HttpFetcher, HttpLimits

    fetcher = HttpFetcher(url, limits=HttpLimits())
    return open_followed(fetcher, workspace, close=fetcher.close)


def read_pin(token: TokenSpec) -> str:
    """The PIN of a token, from the environment variable that mingzheng.toml names, or from the terminal.

    Raises SealTokenError. A wrong one is tried once: tokens lock themselves after a few.
    """
    if token.pin_env is not None:
        pin = os.environ.get(token.pin_env, "")
        if not pin:
            raise SealTokenError(f"the environment variable {token.pin_env} holds no PIN")
        return pin
    try:
        return read_passphrase(prompt=f"令牌口令 PIN of token {token.label}: ").decode()
    except (PassphraseError, UnicodeDecodeError) as error:
        raise SealTokenError(f"no PIN for the token: give one at the terminal, or name {_PIN_HINT}") from error


def open_workspace(workspace: Path, options: dict[str, Any], reading: bool = False) -> Workspace:
    """The workspace a command names, locked. `reading`: for commands that change nothing, also where nothing can be."""
    secret = Secret(file=options.get("passphrase_file"), fd=options.get("passphrase_fd"))
    return Workspace.open(workspace, access_of(secret), reading=reading)


def time_of(workspace: Workspace, as_of: int | None) -> int:
    """The one reading of the clock; noon of --as-of in a demo workspace."""
    if as_of is None:
        return int(time.time())
    workspace.check_as_of()
    return day_start(as_of) + 43_200


def check_passphrase(workspace: Workspace, yes: bool) -> None:
    """Open a key before the question, so that a wrong passphrase is known before somebody has said yes."""
    if not yes:
        workspace.check_passphrase()


def confirm(yes: bool) -> None:
    """Ask at the terminal, unless --yes."""
    if not yes:
        click.confirm("继续？ Go on?", abort=True, err=True)


def print_lines(items: Iterable[show.Json], texts: Iterable[str], as_json: bool, *, err: bool = False) -> None:
    """NDJSON or text, one line each."""
    for line in (json.dumps(item, ensure_ascii=False) for item in items) if as_json else texts:
        click.echo(line, err=err)
