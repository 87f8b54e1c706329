"""`mingzheng backup`, `restore`, `migrate`, `ledger forget`: keeping a workspace (docs/workspace.md, "Keeping it")."""

import time
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.backup import BackedUp, back_up
from mingzheng.issuer.forget import ForgetPlan, Forgotten, check_reason, forget, plan_forget
from mingzheng.issuer.lifecycle import find_registration
from mingzheng.issuer.manifest import Manifest
from mingzheng.issuer.operators import Operator, check_operator, unlock
from mingzheng.issuer.options import (
    AS_OF,
    DRY_RUN,
    ISSUER_NUMBER,
    JSON,
    LANG,
    OPERATOR,
    SECRET,
    WORKSPACE,
    YES,
    confirm,
    open_workspace,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.refusals import RegistrationUnknownError
from mingzheng.issuer.restore import restore
from mingzheng.issuer.rows import Registration
from mingzheng.issuer.rules_args import kind_code
from mingzheng.issuer.schema import SCHEMA_VERSION, STEPS
from mingzheng.issuer.upgrade import plan_upgrade, upgrade
from mingzheng.issuer.workspace import Workspace

__all__ = ["backup_command", "ledger_group", "migrate_command", "restore_command"]

WITHOUT_KEYS = click.option(
    "--without-keys", is_flag=True, help="Leave keys/ out: keep it apart. 不含密钥文件，另行保管。"
)
STAYS_ZH: Final = (
    "日志里留下：每份副本的种类、序号、签发日和一个 SHA-256 值。该值由证书数据连同 16 字节随机盐算出；盐已抹去，"
    "猜中姓名、证件号也无法对上，所以它不再指向任何人。持有证书文件或二维码的人仍可自行核验。"
    "此前的备份仍含这些数据，到期应销毁；已交付的文件、输出目录和导入的表格不在台账里，请另行处理。"
)
STAYS_EN: Final = (
    "What stays in the log: of each copy its kind, serial, day of issue and a SHA-256 value, made of the certificate's "
    "data with 16 random bytes of salt. The salt is gone: nobody can try a name or an identity number against it, so "
    "it points at nobody any more. Who holds the certificate's file or code can still check it. Backups made earlier "
    "still hold the data: destroy them in time. Files handed out, output directories and imported tables are not in "
    "the ledger: see to them yourself."
)


@click.command("backup")
@WORKSPACE
@click.option(
    "--to", "target", type=click.Path(path_type=Path), required=True, help="New directory, or file ….tar. 目标。"
)
@WITHOUT_KEYS
@JSON
@LANG
def backup_command(workspace: Path, *, target: Path, without_keys: bool, as_json: bool, lang: show.Lang) -> None:
    """Back a workspace up, while issuing goes on. It holds personal data. 备份工作区（含个人数据），可与签发同时进行。

    Ledger and log are of one moment; every file is in the manifest with its SHA-256. No passphrase is needed.

    \b
    mingzheng backup --workspace W --to /media/backup/W-2026-06-01
    mingzheng backup --workspace W --to W-2026-06-01.tar --without-keys
    """
    made = back_up(workspace, target, with_keys=not without_keys, now=int(time.time()))
    _say_backup(made, as_json, lang)


@click.command("restore")
@click.argument("backup", type=click.Path(exists=True, path_type=Path))
@WORKSPACE
@click.option(
    "--anchor",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Newest checkpoint, from outside: then it writes. 外部最新检查点。",
)
@SECRET
@JSON
@LANG
def restore_command(
    backup: Path, workspace: Path, *, anchor: Path | None, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """Make a workspace from a backup, every file checked. It signs nothing until shown an anchor. 从备份恢复（只读）。

    The anchor is the newest checkpoint from a mirror, a witness or a verifier; it must equal the backup's head.
    锚点是镜像、见证方或核验方处的最新检查点，须与备份的树头一致。

    \b
    mingzheng restore W-2026-06-01.tar --workspace W --anchor checkpoint-from-the-mirror
    """
    note = None if anchor is None else anchor.read_bytes()
    done = restore(backup, workspace, anchor=note, now=int(time.time()))
    keys, writes = done.manifest.has_keys, False
    if note is not None and keys and not done.manifest.elsewhere:
        try:
            with open_workspace(workspace, options) as opened:
                opened.log.resume_from_anchor(note)
        except BaseException:  # no passphrase, or a wrong one: the workspace is there all the same
            click.echo(_restored_text(done.manifest, writes, lang), err=True)
            raise
        writes = True
    value: show.Json = {"copies": done.manifest.copies, "keys": keys, "read_only": not writes}
    print_lines([value], [_restored_text(done.manifest, writes, lang)], as_json)


@click.command("migrate")
@WORKSPACE
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="Backup to make first, as of `backup`. 先备份到。"
)
@WITHOUT_KEYS
@DRY_RUN
@YES
@JSON
@LANG
def migrate_command(
    workspace: Path,
    *,
    target: Path | None,
    without_keys: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    lang: show.Lang,
) -> None:
    """Bring a workspace of an earlier program up to this one, after a backup. 升级旧版本的工作区（先备份）。

    Programs of before no longer open it then. May be run again if it was cut short.
    升级后旧程序不能再打开；中途停止可再次运行。

    \b
    mingzheng migrate --workspace W --dry-run
    mingzheng migrate --workspace W --to W-before.tar
    """
    plan = plan_upgrade(workspace)
    steps = [{"version": step, "brings": STEPS[step][0 if lang == "zh" else 1]} for step in plan.steps]
    texts = [f"{plan.found} → {SCHEMA_VERSION}", *(f"{step['version']}: {step['brings']}" for step in steps)]
    if dry_run or not plan.steps:
        told = texts if plan.steps else ["已是最新，无需升级。" if lang == "zh" else "nothing to do: it is up to date."]
        print_lines([{"schema": plan.found, "steps": steps, "done": False}], told, as_json)
        return
    if target is None:
        raise click.UsageError("请用 --to 给出备份位置 (name the backup to make first with --to)")
    for text in texts:
        click.echo(text, err=True)
    confirm(yes)
    made = upgrade(workspace, backup=target, with_keys=not without_keys, now=int(time.time()))
    text = "已升级，备份在 {}。" if lang == "zh" else "done; the backup is {}."
    value: show.Json = {"schema": SCHEMA_VERSION, "steps": steps, "done": True}
    print_lines([value], [text.format("-" if made is None else made.path.name)], as_json)
    if made is not None:
        _say_missing(made)


@click.group("ledger")
def ledger_group() -> None:
    """What the ledger keeps of people. 台账里的个人数据。"""


@ledger_group.command("forget")
@WORKSPACE
@click.option("--registration", required=True, help="Registration number. 注册编号。")
@click.option("--kind", required=True, help="Kind. 证书种类。")
@ISSUER_NUMBER
@click.option("--reason", required=True, help="Why, without names; stays in the ledger. 事由（不写姓名），留在台账。")
@OPERATOR
@SECRET
@AS_OF
@DRY_RUN
@YES
@JSON
@LANG
def ledger_forget(
    workspace: Path,
    *,
    registration: str,
    kind: str,
    issuer: int | None,
    reason: str,
    as_of: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Erase the personal data of a registration that no longer counts. There is no way back. 抹去个人数据，不可恢复。

    Only once it is revoked, or it and all its copies are past their last day. Serials, states and positions in the log
    stay, and copies can still be revoked by serial. Where the issuer has operators, say who you are.
    仅限已撤销或已全部到期的注册；序号、状态和日志位置保留。机构设有经办人时须写明经办人。

    \b
    mingzheng ledger forget --workspace W --registration 京1112006200712345 --kind cn.constructor.1 \\
        --reason 持证人申请 --dry-run
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        named = _named(opened, registration, kind, issuer)
        if dry_run:
            plan = plan_forget(opened, named, today=day_of_time(now))
            check_reason(opened, plan, reason)
            print_lines([_plan_json(plan)], [_plan_text(len(plan.copies), lang)], as_json)
            return
        click.echo(STAYS_ZH if lang == "zh" else STAYS_EN, err=True)
        operator = _person(opened, named, options, now=now)
        confirm(yes)
        done = forget(opened, named, reason=reason, now=now, operator=operator)
    print_lines([_done_json(done)], [_done_text(done, lang)], as_json)


def _named(workspace: Workspace, registration: str, kind: str, issuer: int | None) -> Registration:
    """The registration; one that is not there is named all the same, so that a sweep cut short can be finished."""
    code = kind_code(kind, workspace.profiles())
    try:
        return find_registration(workspace, kind=code, registration_no=registration, issuer=issuer).registration
    except RegistrationUnknownError:
        return Registration(issuer=issuer or 0, kind=code, registration_no=registration)


def _person(workspace: Workspace, named: Registration, options: dict[str, Any], *, now: int) -> Operator | None:
    """Who forgets, where the issuer has operators; nobody is asked for only to finish what was cut short."""
    name = options["operator"]
    if workspace.ledger.registration_state(named) is None:
        return None
    check_operator(workspace, named.issuer, name, now=now)
    if name is None:
        workspace.check_passphrase()  # no key is used: but whoever only found the files open does not erase
        return None
    return unlock(workspace, named.issuer, name, passphrase=person_secret(options).read, now=now)


def _say_backup(made: BackedUp, as_json: bool, lang: show.Lang) -> None:
    manifest = made.manifest
    size = sum(entry.size_bytes for entry in manifest.files)
    value: show.Json = {
        "backup": made.path.name,
        "copies": manifest.copies,
        "files": len(manifest.files),
        "bytes": size,
        "keys": manifest.has_keys,
        "logs": [{"name": log.name, "size": log.size} for log in manifest.logs],
        "log_elsewhere": manifest.elsewhere,
        "left_out": list(made.left_out),
        "unfinished": list(made.unfinished),
    }
    heads = ", ".join(f"{log.name} {log.size}" for log in manifest.logs)
    zh = (
        f"已备份到 {made.path.name}：{manifest.copies} 份副本的台账，日志 {heads}，{len(manifest.files)} 个文件，"
        f"{size} 字节；{'含' if manifest.has_keys else '不含'}密钥文件。含个人数据，请妥善保管。"
    )
    en = (
        f"backed up to {made.path.name}: a ledger of {manifest.copies} copies, log {heads}, {len(manifest.files)} "
        f"files, {size} bytes; {'with' if manifest.has_keys else 'without'} keys. It holds personal data: keep it so."
    )
    print_lines([value], [zh if lang == "zh" else en], as_json)
    _say_missing(made)


def _say_missing(made: BackedUp) -> None:
    """What the backup does not hold, and what lies beside it."""
    if made.manifest.elsewhere:
        click.echo("日志在数据库服务器中，未备份：请用服务器自己的工具，先备份日志、后备份台账。", err=True)
        click.echo("The log is in a database server and not in here: back it up there, the log before this.", err=True)
    for name in made.left_out:
        click.echo(f"未备份（不是普通文件，或名称不能用） left out, no plain file or no name for one: {name}", err=True)
    for name in made.unfinished:
        click.echo(f"先前中断的备份（含个人数据），没有在运行就删除：{name}", err=True)
        click.echo(f"left by a backup that was cut short; personal data: if none is running, delete {name}", err=True)


def _restored_text(manifest: Manifest, writes: bool, lang: show.Lang) -> str:
    copies, keys = manifest.copies, manifest.has_keys
    if lang == "zh":
        state = "可以继续签发。" if writes else "只读：用 mingzheng log resume --anchor 出示外部最新检查点后才能签发。"
        if manifest.elsewhere:
            state = "日志不在备份里，须在数据库服务器中：设好 MINGZHENG_LOG_DATABASE 等环境变量后在那里继续。"
        return f"已恢复，台账有 {copies} 份副本。{'' if keys else '备份不含密钥：请把 keys/ 放回。'}{state}"
    state = "it writes." if writes else "read-only until `mingzheng log resume --anchor` shows the newest checkpoint."
    if manifest.elsewhere:
        state = "the log is not in it: it goes on in its database server, by MINGZHENG_LOG_DATABASE and the others."
    return f"restored, the ledger has {copies} copies; {'' if keys else 'put keys/ back, it was left out; '}{state}"


def _plan_json(plan: ForgetPlan) -> show.Json:
    return {"serials": [row.serial for row in plan.copies], "done": False}


def _plan_text(count: int, lang: show.Lang) -> str:
    return f"将抹去 {count} 份副本的个人数据。" if lang == "zh" else f"would erase the personal data of {count} copies."


def _done_json(done: Forgotten) -> show.Json:
    stays = [
        {"issuer": row.issuer, "serial": row.serial, "status": str(row.status), "index": row.leaf_index}
        for row in done.copies
    ]
    return {"stays": stays, "images": done.images, "shared_reasons": done.shared_reasons, "done": True}


def _done_text(done: Forgotten, lang: show.Lang) -> str:
    if not done.copies:
        zh, en = "上次中断的遗忘已完成。", "an earlier forgetting that was cut short is done now."
        return zh if lang == "zh" else en
    serials = ", ".join(str(row.serial) for row in done.copies)
    zh = f"已抹去 {len(done.copies)} 份副本（序号 {serials}）的个人数据和 {done.images} 个图片。"
    en = f"erased the personal data of {len(done.copies)} copies (serials {serials}) and {done.images} images."
    if done.shared_reasons:
        zh += f"{done.shared_reasons} 个涉及多个注册的操作保留了事由。"
        en += f" {done.shared_reasons} acts on several registrations keep their reasons."
    return zh if lang == "zh" else en
