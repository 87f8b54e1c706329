"""`mingzheng trust`: look at a trust store; with `trust_cli`, publish one and bring it forward.

`trust export` is added by the issuer's room.

Source: DESIGN §7, §9. Output is data on stdout; typed errors go up to the one command, which prints
their code.
"""

import json
import os
import time
from pathlib import Path
from typing import Final

import click

from mingzheng.keys.pins import read_pins
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust_cli import COMMANDS
from mingzheng.keys.trustview import Lang, Namer, StatusTime, describe, render

_DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)


def show_command(status_time: StatusTime | None, namer: Namer | None = None) -> click.Command:
    """`trust show`; `status_time` reads this-update of a status list, a format other rooms know, as they know names."""

    @click.command("show")
    @click.argument("directory", type=_DIRECTORY)
    @click.option("--json", "as_json", is_flag=True, help="One JSON object on one line. 输出 JSON。")
    @click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language. 语言。")
    def show(directory: Path, *, as_json: bool, lang: Lang) -> None:
        """Show a trust store: issuers, keys, scopes, age, fingerprint. 查看信任数据。

        \b
        mingzheng trust show trust
        mingzheng trust show trust --json --lang en
        """
        stored = load_store(directory, pins=read_pins(os.environ))
        shown = describe(
            stored.data,
            fingerprint=stored.fingerprint,
            signed_by_tuf=stored.signed_by_tuf,
            first_root=stored.first_root,
            now=int(time.time()),
            status_time=status_time,
        )
        if as_json:
            click.echo(json.dumps(shown, ensure_ascii=False))
        else:
            click.echo(render(stored.data, shown, lang, namer), nl=False)

    return show


@click.group("trust")
def trust_group() -> None:
    """Trust data: whose keys may say what. 信任数据：谁的密钥可以证明什么。"""


trust_group.add_command(show_command(None))
for command in COMMANDS:
    trust_group.add_command(command)
