"""The commands of the issuing side: init, issuer, issue, reissue, the acts, trust export, and the log's workspace part.

Source: DESIGN §9 (exit status), docs/life-of-a-certificate.md. Parse, call, print: no rule is decided here; what
the commands share is in `options`. stdout is data (text, or NDJSON with --json), stderr is talk.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.lifecycle as lifecycle
import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import day_of_time, parse_day
from mingzheng.formats.claims import Copy
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.act_cli import find_target, reinstate, revoke, suspend, void
from mingzheng.issuer.application_cli import APPLICATION, handed_in
from mingzheng.issuer.applying import Exchange, exchange, plan_exchange
from mingzheng.issuer.approvalerrors import TwoOperatorsError
from mingzheng.issuer.config import CREDENTIAL_ALGS, IssuerSpec, WorkspaceConfig
from mingzheng.issuer.exporting import claimed_this_update, export_trust, read_status, refresh_status
from mingzheng.issuer.foreign_cli import log_acknowledge, log_foreign
from mingzheng.issuer.issue_cli import forms_of, say_unsealed
from mingzheng.issuer.landmarks import kept_landmark, refresh_landmark
from mingzheng.issuer.logplace import check_log
from mingzheng.issuer.operators import check_operator, unlock
from mingzheng.issuer.options import (
    AS_OF,
    COMMON,
    DRY_RUN,
    FORMAT,
    ISSUER_NUMBER,
    JSON,
    LANG,
    NUMBER,
    OPERATOR,
    OPERATORS,
    ORIGIN,
    REASON,
    SCOPE,
    SECRET,
    TARGET,
    WORKSPACE,
    YES,
    Secret,
    access_of,
    check_passphrase,
    confirm,
    new_operators,
    open_workspace,
    person_secret,
    print_lines,
    read_day,
    time_of,
)
from mingzheng.issuer.places import name_number
from mingzheng.issuer.plan import CopyOrder
from mingzheng.issuer.refusals import RefusalError
from mingzheng.issuer.reissuing import reissue_json, reissue_text
from mingzheng.issuer.render import Outbox
from mingzheng.issuer.serve_cli import serve_command, submit_key_command
from mingzheng.issuer.status_cli import status_apply, status_delta, status_export
from mingzheng.issuer.storage_cli import log_migrate, log_roll_over
from mingzheng.issuer.witnessing import POLICY, cosign_head, cosigned_head, full_receipt, read_policy
from mingzheng.issuer.workspace import Foundation, Workspace, log_vkey
from mingzheng.keys.cli import show_command, trust_group
from mingzheng.keys.trust import OriginRecord
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.cli import fsck_json, fsck_text, log_group

__all__ = [
    "init",
    "issuer_group",
    "log_group",
    "log_migrate",
    "log_roll_over",
    "reinstate",
    "reissue",
    "revoke",
    "status_apply",
    "status_delta",
    "status_export",
    "suspend",
    "trust_group",
    "void",
]

EXIT_SOME_REFUSED: Final = 1
KEY_YEARS: Final = 5
DEMO_KEYS_FROM: Final = parse_day("2000-01-01")


@click.command("init")
@WORKSPACE
@click.option("--issuer", "name", required=True, help="Name of the first issuer. 首个机构名称。")
@click.option("--origin", required=True, help="Name of the log, e.g. log.example/2026. 日志名。")
@click.option(
    "--origin-number", type=click.IntRange(1, 65535), default=1, show_default=True, help="Number of the log. 日志编号。"
)
@click.option(
    "--block-height",
    type=click.IntRange(1, 8),
    default=4,
    show_default=True,
    help="Height of receipt blocks. 回执区块高度。",
)
@click.option("--demo", is_flag=True, help="A demo: dates may be moved; the origin begins with demo. or test. 演示。")
@SCOPE
@OPERATORS
@SECRET
@LANG
def init(workspace: Path, *, name: str, origin: str, demo: bool, lang: show.Lang, **options: Any) -> None:
    """Make a workspace: keys, empty ledger, empty log. 建立签发工作区。

    Without --kind the issuer may issue every shipped kind; without --jurisdiction, nationally only. Revocations, voids
    and notices take two operators, each with a passphrase of their own; --one-person does without.
    撤销、作废和公告须两名经办人，各用自己的口令；--one-person 则不设。

    \b
    mingzheng init --workspace W --issuer 示范省住房和城乡建设厅 --origin log.example/2026 \\
        --kind cn.constructor.2 --jurisdiction sh --operator 张三 --operator 李四
    mingzheng init --workspace W --issuer 演示机构 --origin demo.example/log --demo --passphrase-file pass.txt
    """
    spec, (first, last) = _issuer_spec(1, name, options), _key_days(options, demo=demo)
    _check_persons(options, demo=demo)
    number, height = options["origin_number"], options["block_height"]
    foundation = Foundation(
        demo=demo,
        origin=OriginRecord(number=number, name=origin, block_height=height),
        issuers=(spec,),
        valid_from=first,
        valid_until=last,
        operators=new_operators(options["operators"], options),
    )
    secret = Secret(file=options["passphrase_file"], fd=options["passphrase_fd"], confirm=True)
    config = Workspace.create(workspace, foundation, access_of(secret))
    _say_scope(spec, (first, last), lang)
    _say_persons(config, spec.number, first)
    click.echo(log_vkey(config))


@click.group("issuer")
def issuer_group() -> None:
    """Issuers of a workspace. 工作区的签发机构。"""


@issuer_group.command("add")
@WORKSPACE
@click.option("--name", required=True, help="Name. 名称。")
@click.option("--number", required=True, type=click.IntRange(1, 65535), help="Number, never used again. 编号。")
@SCOPE
@OPERATORS
@SECRET
@LANG
def issuer_add(workspace: Path, *, name: str, number: int, lang: show.Lang, **options: Any) -> None:
    """Add an issuer with keys of its own. 增加签发机构。

    \b
    mingzheng issuer add --workspace W --number 2 --name 注册建筑师管理委员会 \\
        --kind cn.architect.1 --body 1=注册建筑师管理委员会 --body 2=主任委员 --operator 王五 --operator 赵六
    """
    spec = _issuer_spec(number, name, options)
    with open_workspace(workspace, options) as opened:
        _check_persons(options, demo=opened.config.demo)
        days = _key_days(options, demo=opened.config.demo)
        persons = new_operators(options["operators"], options)
        config = opened.add_issuer(spec, valid_from=days[0], valid_until=days[1], operators=persons)
    _say_scope(spec, days, lang)
    _say_persons(config, number, days[0])


@issuer_group.command("list")
@WORKSPACE
@JSON
def issuer_list(workspace: Path, *, as_json: bool) -> None:
    """List the issuers. 列出签发机构。

    \b
    mingzheng issuer list --workspace W
    """
    with open_workspace(workspace, {}) as opened:
        for spec in opened.config.issuers:
            kinds = [load_shipped_profiles().id_of(code) or str(code) for code in spec.kinds]
            if as_json:
                item = {"number": spec.number, "name": spec.name, "kinds": kinds, "jurisdictions": spec.jurisdictions}
                click.echo(json.dumps(item, ensure_ascii=False))
            else:
                click.echo(f"{spec.number}\t{spec.name}\t{', '.join(kinds)}")


@click.command("reissue")
@TARGET
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory for the file. 输出目录。")
@click.option(
    "--copy",
    "copy",
    type=click.Choice(["approval", "usage"]),
    help="Copy to make: as --serial, else approval. 种类；默认同 --serial，否则批准件。",
)
@click.option("--purpose", help="Purpose of a usage copy. 用途。")
@APPLICATION
@FORMAT
@REASON
@OPERATOR
@COMMON
@DRY_RUN
@YES
def reissue(*, out: Path, copy: str | None, reason: str, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Re-issue (换领): same data and end, new issue day; every live copy is superseded. 换领证书。

    \b
    mingzheng reissue --workspace W --registration 京1112006200712345 --kind cn.constructor.1 \\
        --reason 换发新版 --out certificates --operator 张三
    mingzheng reissue --workspace W --registration 京1112006200712345 --kind cn.constructor.1 \\
        --reason 换领 --out certificates --application application.pdf --operator 张三
    """
    handed = handed_in(options)
    with open_workspace(options["workspace"], options) as opened:
        now = time_of(opened, options["as_of"])
        target = find_target(opened, options)
        wanted = None
        if copy is not None:
            kind = Copy.USAGE if copy == "usage" else Copy.APPROVAL
            wanted = CopyOrder(copy=kind, purpose=options["purpose"], day=day_of_time(now))
        if handed is None:
            job = lifecycle.plan_reissue(opened, target, wanted=wanted, reason=reason, now=now)
        else:
            asked = Exchange(wanted=wanted, reason=reason, handed=handed)
            job = plan_exchange(opened, target, asked, now=now)
        rule = lifecycle.reissue_rule(opened, target, now=now)
        said, text = {"rule": reissue_json(rule)}, f"{show.job_text(job, lang)}\n  {reissue_text(rule, lang)}"
        if options["dry_run"]:
            print_lines([show.job_json(job) | said], [text], as_json)
            return
        issuer, person = target.registration.issuer, options["operator"]
        check_operator(opened, issuer, person, now=now)
        click.echo(text, err=True)
        if person is not None:
            unlock(opened, issuer, person, passphrase=person_secret(options).read, now=now)
        check_passphrase(opened, options["yes"])
        confirm(options["yes"])
        outbox = Outbox(directory=out, forms=forms_of(options))
        if handed is None:
            issued = lifecycle.reissue(opened, target, wanted=wanted, reason=reason, now=now, out=outbox)
        else:
            issued = exchange(opened, target, asked, now=now, out=outbox)
        told = f"{show.issued_text(issued, lang)}\n{reissue_text(rule, lang)}"
        print_lines([show.issued_json(issued) | said], [told], as_json)
        say_unsealed([issued], lang)


trust_group.add_command(show_command(claimed_this_update, lambda *what: name_number(load_shipped_profiles(), *what)))


@trust_group.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@COMMON
def trust_export(directory: Path, *, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Write the workspace's trust data into a store, one generation up. 导出信任数据。

    \b
    mingzheng trust export --workspace W trust
    """
    with open_workspace(options["workspace"], options) as opened:
        exported = export_trust(opened, directory, now=time_of(opened, options["as_of"]))
    print_lines([show.exported_json(exported)], [show.exported_text(exported, lang)], as_json)


log_group.add_command(serve_command)
log_group.add_command(submit_key_command)
log_group.add_command(log_foreign)
log_group.add_command(log_acknowledge)


@log_group.command("prove")
@WORKSPACE
@click.option("--serial", type=NUMBER, required=True, help="Serial. 序号。")
@ISSUER_NUMBER
@SECRET
def log_prove(workspace: Path, *, serial: int, issuer: int | None, **options: Any) -> None:
    """Print the full receipt (C2SP tlog-proof) of a copy, cosigned if witnesses did. 打印完整回执。

    \b
    mingzheng log prove --workspace W --serial 17 > receipt.tlog-proof
    """
    with open_workspace(workspace, options) as opened:
        target = lifecycle.find_serial(opened, serial=serial, issuer=issuer)
        row, origin = opened.ledger.copy(target.registration.issuer, serial), opened.config.origin.number
        index = row.leaf_index
        if index is None or row.shard == opened.config.shard:
            index = opened.issuing_log.index_of_serial(row.issuer, serial)
        else:  # it is in a log that was rolled over
            origin = opened.config.begun[row.shard].number
        if index is None:
            raise RefusalError("该序号尚未写入日志", "that serial is not in the log yet")
        policy = read_policy(opened)
        head = None if policy is None else cosigned_head(opened, policy, origin=origin)
        click.echo(full_receipt(opened, index, head=head, origin=origin), nl=False)


@log_group.command("cosign")
@WORKSPACE
@click.option("--deadline", type=click.FloatRange(0.1, 600), default=10.0, show_default=True, help="Seconds. 秒。")
@ORIGIN
@JSON
@LANG
@click.pass_context
def log_cosign(
    ctx: click.Context, workspace: Path, *, deadline: float, origin: int | None, as_json: bool, lang: show.Lang
) -> None:
    """Have the newest head cosigned by the witnesses of witnesses.policy. 请见证方为最新树头签名。

    \b
    mingzheng log cosign --workspace W
    """
    with open_workspace(workspace, {}) as opened:
        policy = read_policy(opened)
        if policy is None:
            raise RefusalError(f"工作区里没有 {POLICY}，或它不要求见证", f"there is no {POLICY}, or it demands nobody")
        found = cosign_head(opened, policy, deadline=deadline, origin=_begun(opened, origin))
    print_lines([show.cosigned_json(found)], [show.cosigned_text(found, lang)], as_json)
    ctx.exit(0 if found.witnessed.satisfied else EXIT_SOME_REFUSED)


@log_group.command("fsck")
@WORKSPACE
@ORIGIN
@JSON
@LANG
@click.pass_context
def log_fsck(ctx: click.Context, workspace: Path, *, origin: int | None, as_json: bool, lang: show.Lang) -> None:
    """Check the log's files and database against each other; changes nothing. 检查日志存储。

    \b
    mingzheng log fsck --workspace W
    """
    with open_workspace(workspace, {}) as opened:
        number = _begun(opened, origin)
        report = check_log(opened.log_directory(number), parse_vkey(log_vkey(opened.config, number)), os.environ)
    print_lines([fsck_json(report)], [fsck_text(report, lang)], as_json)
    ctx.exit(0 if report.clean else EXIT_SOME_REFUSED)


@log_group.command("status")
@COMMON
def log_status(*, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Make the status lists that are due, and show all. 生成并查看状态清单。

    \b
    mingzheng log status --workspace W
    """
    with open_workspace(options["workspace"], options) as opened:
        now = time_of(opened, options["as_of"])
        for spec in opened.config.issuers:
            made = refresh_status(opened, spec.number, now=now)
            body = read_status(opened, spec.number)
            assert body is not None  # just refreshed
            print_lines([show.status_json(body, made=made)], [show.status_text(body, lang, made=made)], as_json)


@log_group.command("landmark")
@COMMON
def log_landmark(*, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Make the log's landmark list if it is due, and show it. 生成并查看地标清单。

    \b
    mingzheng log landmark --workspace W

    With witnesses `trust export` does it, too, and takes the list along.
    有见证方时 trust export 也会生成，并随信任数据导出。
    """
    with open_workspace(options["workspace"], options) as opened:
        made = refresh_landmark(opened, now=time_of(opened, options["as_of"]))
        kept = kept_landmark(opened)
    if kept is None:
        raise RefusalError("日志还是空的", "the log is still empty")
    print_lines([show.landmark_json(kept.body, made=made)], [show.landmark_text(kept.body, lang, made=made)], as_json)


@log_group.command("resume")
@WORKSPACE
@click.option(
    "--anchor",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Newest checkpoint, from outside. 外部检查点。",
)
@click.option(
    "--today",
    callback=read_day,
    help="Today's date, read off a calendar: after 400 days without a round. 今天的日期：超过 400 天未写入后确认时钟。",
)
@AS_OF
@SECRET
def log_resume(workspace: Path, *, anchor: Path | None, today: int | None, as_of: int | None, **options: Any) -> None:
    """Let a log write again: a restored workspace, shown the newest checkpoint from outside, or one whose clock has
    leapt, told today's date. 恢复写入：凭外部检查点，或确认今天的日期。

    \b
    mingzheng log resume --workspace W --anchor checkpoint-from-the-mirror
    mingzheng log resume --workspace W --today 2028-03-01
    """
    if anchor is None and today is None:
        raise click.UsageError("请给出 --anchor 或 --today (give --anchor or --today)")
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        if today not in (None, day_of_time(now)):
            raise click.UsageError("本机时钟不是这一天，请先校准时钟 (this machine's clock shows another day: set it)")
        if anchor is not None:
            opened.log.resume_from_anchor(anchor.read_bytes())
        if today is not None:
            opened.log.confirm_clock(now)
    click.echo("日志可以继续写入 / the log writes again", err=True)


def _begun(workspace: Workspace, origin: int | None) -> int:
    """The number of a log that there is, by default of the one that is written to. Raises OriginUnknownError."""
    config = workspace.config
    return config.origin.number if origin is None else config.begun[config.shard_of(origin)].number


def _check_persons(options: dict[str, Any], *, demo: bool) -> None:
    """Two persons, or said plainly that there is one."""
    count = len(set(options["operators"]))
    if (count and options["one_person"]) or (count < 2 and not options["one_person"] and (count or not demo)):
        raise TwoOperatorsError


def _say_persons(config: WorkspaceConfig, issuer: int, day: int) -> None:
    """That one person can act alone, in both languages, whatever the language of the rest."""
    if not config.needs_two(issuer, day):
        for line in showdesk.ONE_PERSON:
            click.echo(line.format(issuer), err=True)


def _issuer_spec(number: int, name: str, options: dict[str, Any]) -> IssuerSpec:
    every = tuple(sorted({head.code for head in load_shipped_profiles().heads}))
    return IssuerSpec(
        number=number,
        name=name,
        name_en=options["name_en"] or name,
        kinds=options["kinds"] or every,
        jurisdictions=options["jurisdictions"] or (0,),
        bodies=options["bodies"] or {1: name},
        prefixes=options["prefixes"],
        credential_alg=CREDENTIAL_ALGS[options["credential_alg"]],
    )


def _key_days(options: dict[str, Any], *, demo: bool) -> tuple[int, int]:
    """First and last day of new keys: today and five years; a demo's keys also cover the past."""
    today = day_of_time(int(time.time()))
    first, last = options["valid_from"], options["valid_until"]
    if first is None:
        first = DEMO_KEYS_FROM if demo else today
    last = today + KEY_YEARS * 365 + 1 if last is None else last
    if first > last:
        raise click.UsageError("--valid-from 晚于 --valid-until (is after --valid-until)")
    return first, last


def _say_scope(spec: IssuerSpec, days: tuple[int, int], lang: show.Lang) -> None:
    click.echo(show.scope_text(spec, days, load_shipped_profiles(), lang), err=True)
