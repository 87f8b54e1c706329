"""Why the issuing side refuses: workspace, ledger, acts, files. One leaf per thing an operator would do differently.

Messages are Chinese, then English, and name numbers and files of the workspace; never a holder, never a reason of an
act. `exit_code`: 1 for a request that cannot be met, 2 for a wrong use, 4 for what is on disk.
"""

from typing import ClassVar

from mingzheng.issuer.errors import BilingualError
from mingzheng.issuer.faults import Fault

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_STORED = 4


class RefusalError(BilingualError):
    """Base: `zh` and `en` say the same."""

    code: ClassVar[str] = "issuer.refused"
    exit_code: ClassVar[int] = EXIT_REFUSED


# --- workspace


class WorkspaceExistsError(RefusalError):
    """`init` over something that is there."""

    code: ClassVar[str] = "workspace.exists"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} 已存在且不是空目录，不会覆盖；请换一个目录",
            f"{name} exists and is not an empty directory: nothing is overwritten, choose another one",
        )


class WorkspaceUnfinishedError(RefusalError):
    """An earlier `init` was cut short; its leftover holds keys that were never used."""

    code: ClassVar[str] = "workspace.unfinished"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"上次建立工作区中断，留下 {name}（其中的密钥从未使用）；请删除它后重试",
            f"an earlier init was interrupted and left {name} (its keys were never used): delete it, then try again",
        )


class WorkspaceMissingError(RefusalError):
    """No workspace there."""

    code: ClassVar[str] = "workspace.missing"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str, missing: str) -> None:
        super().__init__(
            f"{name} 不是签发工作区（缺少 {missing}）；用 mingzheng init 建立",
            f"{name} is no workspace ({missing} is missing): make one with `mingzheng init`",
        )


class WorkspaceBusyError(RefusalError):
    """Another command works in it."""

    code: ClassVar[str] = "workspace.busy"

    def __init__(self) -> None:
        super().__init__(
            "另一个命令正在使用这个工作区；等它结束后再试",
            "another command works in this workspace: try again when it is done",
        )


class ConfigError(RefusalError):
    """mingzheng.toml of a workspace is not as this program writes it; `where` names the place."""

    code: ClassVar[str] = "workspace.config"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"mingzheng.toml 有误：{where}", f"mingzheng.toml is not valid: {where}: {problem}")
        self.where = where


class OptionError(RefusalError):
    """Options that contradict each other or the workspace."""

    code: ClassVar[str] = "workspace.option"
    exit_code: ClassVar[int] = EXIT_USAGE


class DemoNameError(OptionError):
    """An origin name and `--demo` that do not fit."""

    code: ClassVar[str] = "workspace.demo_name"


class DemoOnlyError(OptionError):
    """Moved dates or trial seals in a real workspace: they are only where the origin's name says so."""

    code: ClassVar[str] = "workspace.demo_only"

    def __init__(self) -> None:
        super().__init__(
            "--as-of 和试用印章只能用于演示或测试工作区（init --demo）",
            "--as-of and trial seals are for demo and test workspaces only (init --demo)",
        )


class ForeignStoreError(OptionError):
    """Trust data were to be exported into the store of another log."""

    code: ClassVar[str] = "workspace.foreign_store"

    def __init__(self) -> None:
        super().__init__(
            "该目录存有另一个日志的信任数据，不会覆盖；请换一个目录",
            "the directory holds trust data of another log: nothing is overwritten, choose another one",
        )


class OriginUnknownError(OptionError):
    """An origin number that is no log of the workspace's."""

    code: ClassVar[str] = "workspace.unknown_origin"

    def __init__(self, number: int) -> None:
        super().__init__(f"工作区没有编号为 {number} 的日志", f"the workspace has no log of number {number}")


class RollOverUnfinishedError(RefusalError):
    """A roll-over has closed the workspace's log and was cut short before its successor was there."""

    code: ClassVar[str] = "rollover.unfinished"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, number: int) -> None:
        super().__init__(
            f"日志已封存，换到 {number} 号日志的步骤中断；再次运行 mingzheng log roll-over",
            f"the log is closed and the roll-over to log {number} was interrupted: run `mingzheng log roll-over` again",
        )


class UnknownIssuerError(OptionError):
    """An issuer number that the workspace does not have, or several that fit."""

    code: ClassVar[str] = "workspace.unknown_issuer"


class KeyMissingError(RefusalError):
    """No key of that role for that issuer and day, or on any day."""

    code: ClassVar[str] = "workspace.no_key"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, role: str, issuer: int, day: str) -> None:
        super().__init__(
            f"机构 {issuer} {f'在 {day} ' if day else ''}没有可用的 {role} 密钥",
            f"issuer {issuer} has no {role} key{f' valid on {day}' if day else ''}",
        )


class LogSubmitterError(RefusalError):
    """The log is served, and no key may submit what is the log's own: its landmark lists."""

    code: ClassVar[str] = "workspace.no_log_submitter"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self) -> None:
        super().__init__(
            "有见证方的日志需要日志自己的提交密钥才能通过服务写入地标清单：先停下服务，运行 mingzheng log submit-key "
            "--issuer 0 和 trust export，再启动服务",
            "with witnesses the served log needs a submit key of its own for its landmark lists: stop the server, run "
            "`mingzheng log submit-key --issuer 0` and `trust export`, start it again",
        )


class KeyStateError(RefusalError):
    """A key that is retired or compromised already, or a last good size above the one said before."""

    code: ClassVar[str] = "workspace.key_state"

    def __init__(self, kid: str) -> None:
        super().__init__(
            f"密钥 {kid} 已停用或已宣布失密；失密位置只能前移",
            f"key {kid} is retired or compromised already; a last good size is only ever lowered",
        )


class KeyMismatchError(RefusalError):
    """A key file that holds another key than mingzheng.toml says."""

    code: ClassVar[str] = "workspace.key_mismatch"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, name: str) -> None:
        super().__init__(
            f"密钥文件 {name} 与 mingzheng.toml 记录的公钥不符",
            f"key file {name} does not hold the key that mingzheng.toml names",
        )


class ImageMissingError(RefusalError):
    """A stored image is gone or changed."""

    code: ClassVar[str] = "workspace.image_missing"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, digest: str) -> None:
        super().__init__(f"图片 {digest} 丢失或被改动", f"stored image {digest} is missing or was changed")


# --- ledger


class NotALedgerError(RefusalError):
    """A file that is no ledger."""

    code: ClassVar[str] = "ledger.not_a_ledger"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} 不是台账文件或已损坏", f"{name} is no ledger, or it is damaged")


class LedgerNewerError(RefusalError):
    """A ledger of a later program."""

    code: ClassVar[str] = "ledger.newer_schema"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"台账版本 {found} 新于本程序（{known}）；请升级程序",
            f"the ledger has schema {found}, this program knows {known}: update the program",
        )


class LedgerOlderError(RefusalError):
    """A ledger of an earlier program: `mingzheng migrate` brings it up, after a backup."""

    code: ClassVar[str] = "ledger.older_schema"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"台账版本 {found} 早于本程序（{known}）；先运行 mingzheng migrate（会先备份）",
            f"the ledger has schema {found}, this program {known}: run `mingzheng migrate`, which backs up first",
        )


class SweepBusyError(RefusalError):
    """What was forgotten is out of the ledger's rows, but another program reads the file, and its old pages stay."""

    code: ClassVar[str] = "ledger.sweep_busy"

    def __init__(self) -> None:
        super().__init__(
            "记录已抹去，但另一个程序（例如备份）正在读台账，旧数据页尚未清除；等它结束后再次运行同一命令",
            "the rows are erased, but another program (a backup?) reads the ledger and its old pages are still there: "
            "run the same command again when it is done",
        )


class LedgerCorruptError(RefusalError):
    """Rows that contradict each other."""

    code: ClassVar[str] = "ledger.corrupt"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, what: str) -> None:
        super().__init__(f"台账内容不一致（{what}）", f"the ledger contradicts itself: {what}")


class LedgerUnreadableError(RefusalError):
    """Where nothing can be written: what a killed or running command left beside the ledger cannot be read there."""

    code: ClassVar[str] = "ledger.read_only_place"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} 所在之处不可写，其旁的预写文件在此无法读取；请把整个工作区复制到可写之处再看，"
            "或用 mingzheng restore 恢复一份备份",
            f"{name} stands where nothing can be written, and its write-ahead file cannot be read there: copy the "
            "whole workspace to where it can be written and look there, or `mingzheng restore` a backup",
        )


class LedgerWriteError(RefusalError):
    """The system refused a write: disk full, read-only, or locked by another program. Nothing of it was kept."""

    code: ClassVar[str] = "ledger.write"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, what: str) -> None:
        super().__init__(
            "台账写不进去，这一步没有生效",
            f"the ledger could not be written, nothing of this step was kept ({what}): free space on the disk, or let "
            "it be written to, then run the same command again",
        )


class LedgerBehindLogError(RefusalError):
    """The log knows more of an issuer than the ledger: an old backup, or somebody wrote around it."""

    code: ClassVar[str] = "ledger.behind_log"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, issuer: int, what: str, ledger: int, log: int) -> None:
        super().__init__(
            f"机构 {issuer} 的日志已到 {what} {log}，台账 {ledger}：是旧备份或有人绕过它写入：mingzheng log foreign",
            f"the log has {what} {log} of issuer {issuer}, the ledger only {ledger}: it is an old backup, or somebody "
            "wrote to the log around it; see `mingzheng log foreign`",
        )


class LogBehindLedgerError(RefusalError):
    """The ledger holds entries that the log has not: an older log was put back. Nothing is signed on top of it."""

    code: ClassVar[str] = "ledger.log_behind"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, size: int, known: int) -> None:
        super().__init__(
            f"台账里已有第 {known} 条日志记录，日志只有 {size} 条：日志像是旧备份，停止签名",
            f"the ledger holds log entry number {known}, the log only {size} entries: it looks like an old backup",
        )


class ClockBehindError(RefusalError):
    """The clock says an earlier time than the last command's: nothing is planned that the log would refuse."""

    code: ClassVar[str] = "ledger.clock_behind"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, now: int, last: int) -> None:
        behind = last - now
        super().__init__(
            f"时钟比上次操作早 {behind} 秒；请校正时钟（演示工作区：--as-of 不能早于上次操作）",
            f"the clock is {behind} s behind the last command: set it right (in a demo, --as-of may not go back)",
        )


class RegistrationClosedError(RefusalError):
    """No new copies: the registration is suspended or revoked."""

    code: ClassVar[str] = "ledger.registration_closed"

    def __init__(self, state: str) -> None:
        words = {"suspended": "已暂停", "revoked": "已撤销"}
        super().__init__(
            f"该注册{words.get(state, state)}，不能签发", f"the registration is {state}: no copy is issued"
        )


class RegistrationLockedError(RefusalError):
    """A copy is on its way to the log: an act must come after it."""

    code: ClassVar[str] = "ledger.registration_locked"

    def __init__(self, issuer: int, serial: int) -> None:
        super().__init__(
            f"机构 {issuer} 序号 {serial} 尚未写入日志，登记被锁定；重试即可继续",
            f"serial {serial} of issuer {issuer} is not logged yet, its registration is locked: try again",
        )


class SerialUnknownError(RefusalError):
    """The ledger never gave out that serial."""

    code: ClassVar[str] = "ledger.serial_unknown"

    def __init__(self, issuer: int, serial: int) -> None:
        super().__init__(f"机构 {issuer} 没有序号 {serial}", f"issuer {issuer} has no serial {serial}")


class RegistrationUnknownError(RefusalError):
    """No copy of that registration was ever issued here."""

    code: ClassVar[str] = "ledger.registration_unknown"

    def __init__(self) -> None:
        super().__init__(
            "台账里没有该种类的这个注册编号",
            "the ledger has no registration of that kind and number: check --registration and --kind",
        )


# --- acts and files


class ActRefusedError(RefusalError):
    """An act that may not follow the present state."""

    code: ClassVar[str] = "act.refused"


class ReadBackError(RefusalError):
    """A produced file does not give back what was signed: it is not delivered. `what` names the difference."""

    code: ClassVar[str] = "render.read_back"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, serial: int, what: str) -> None:
        super().__init__(
            f"序号 {serial} 的文件回读不符（{what}），未交付",
            f"the file of serial {serial} does not read back as it was signed ({what}): not delivered",
        )
        self.serial, self.what = serial, what


class NameTakenError(RefusalError):
    """A certificate of another copy (another workspace's, say) has the name of this one; it is not replaced."""

    code: ClassVar[str] = "render.name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"目录里已有另一份证书叫 {name}，没有覆盖；换一个 --out 目录再运行同一条命令，已签发的会接着完成",
            f"another certificate has the name {name} there and was not replaced: run the same command with another "
            "--out directory, it goes on with what is issued",
        )


class FaultyRecordsError(RefusalError):
    """A file with faulty rows: nothing of it is issued."""

    code: ClassVar[str] = "issue.faulty_records"

    def __init__(self, faults: tuple[Fault, ...], notes: tuple[Fault, ...] = (), *, none_good: bool = False) -> None:
        count = len(faults)
        if none_good:
            super().__init__(
                f"记录有 {count} 处错误，没有一行可以签发，未签发任何证书；请在记录文件里改正后重试",
                f"faults in the records: {count}, and no row can be issued: correct the file itself and try again",
            )
        else:
            super().__init__(
                f"记录有 {count} 处错误，未签发任何证书；全部改正后重试，或用 --skip-faulty 先签发无误的行",
                f"faults in the records: {count}, nothing was issued: correct them all and try again, "
                "or issue the good rows first with --skip-faulty",
            )
        self.faults, self.notes = faults, notes


# --- seals


class SealMissingError(RefusalError):
    """A rule asks for a seal that no body can set on that day: nothing is issued unsealed instead."""

    code: ClassVar[str] = "sealing.no_seal"

    def __init__(self, what: str, issuer: int, body: int, day: str) -> None:
        super().__init__(
            f"机构 {issuer} 的机关 {body} 在 {day} 没有可用的 {what} 印章；用 mingzheng seal list 查看",
            f"body {body} of issuer {issuer} has no {what} seal ready on {day}: see `mingzheng seal list`",
        )


class SealRuleMissingError(RefusalError):
    """Certificates of that kind are sealed by rule, but no rule is in force on that day."""

    code: ClassVar[str] = "sealing.no_rule"

    def __init__(self, issuer: int, kind: int, day: str) -> None:
        super().__init__(
            f"机构 {issuer} 的种类 {kind} 在 {day} 没有生效的用印规则；用 mingzheng seal rule 增加",
            f"issuer {issuer} has no sealing rule for kind {kind} on {day}: add one with `mingzheng seal rule`",
        )


class SealPlacesError(RefusalError):
    """The rule and the page do not agree on the number of seals."""

    code: ClassVar[str] = "sealing.places"

    def __init__(self, seals: int, places: int) -> None:
        super().__init__(
            f"用印规则有 {seals} 枚印章，页面有 {places} 个位置",
            f"the rule names {seals} seals, the page has {places} places for them",
        )


class SealFileError(RefusalError):
    """A certificate, electronic seal or picture under seals/ that is missing or does not fit its seal."""

    code: ClassVar[str] = "sealing.file"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, name: str, zh: str, en: str) -> None:
        super().__init__(f"印章文件 {name}：{zh}", f"seal file {name}: {en}")
        self.name = name


class SealOptionError(OptionError):
    """A request about seals that contradicts what is there."""

    code: ClassVar[str] = "sealing.option"


# --- backups


class BackupExistsError(RefusalError):
    """A backup over something that is there, or inside the workspace itself."""

    code: ClassVar[str] = "backup.exists"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} 已存在，或在工作区之内；备份不覆盖任何文件，请换一个名称",
            f"{name} exists, or lies inside the workspace: a backup overwrites nothing, choose another name",
        )


class BackupUnfinishedError(RefusalError):
    """An earlier backup or restore was cut short, or is under way; its leftover holds personal data."""

    code: ClassVar[str] = "backup.unfinished"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"上次备份或恢复中断（或正在进行），留下 {name}（含个人数据）；确认没有在运行后删除它，再试",
            f"an earlier backup or restore was interrupted (or is running) and left {name}, which holds personal data: "
            "make sure that none is running, delete it, then try again",
        )


class BackupChangedError(RefusalError):
    """Images went away while the backup was made (something was forgotten): it would lack what its ledger names."""

    code: ClassVar[str] = "backup.changed"

    def __init__(self, count: int) -> None:
        super().__init__(
            f"台账引用的 {count} 个图片或申请文件不在，或在链接之后（请改为目录）；期间有过遗忘的请再备份，否则已丢失",
            f"{count} images or applications that the ledger names are not there, or lie behind a link (make it a "
            "directory): if something was forgotten meanwhile, back up again; else they are lost",
        )


class BackupDamagedError(RefusalError):
    """A backup that is not whole, was changed, or is none. Nothing was restored."""

    code: ClassVar[str] = "backup.damaged"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"备份不完整或被改动（{where}），什么也没有恢复；请用另一份备份",
            f"the backup is not whole or was changed: {where}: {problem}; nothing was restored, take another one",
        )
        self.where = where
