"""Why nothing goes on behind entries of the log that this desk did not write, each with what to do (docs/drills.md, 9).
Pure."""

from collections.abc import Sequence
from typing import ClassVar

from mingzheng.issuer.refusals import EXIT_STORED, EXIT_USAGE, RefusalError

__all__ = ["ForeignAuthorityError", "ForeignEntriesError", "ForeignKeyGoodError", "ForeignPersonsError"]


class ForeignEntriesError(RefusalError):
    """The log holds entries under this issuer's keys that this desk did not write, and nobody has looked at them."""

    code: ClassVar[str] = "ledger.foreign_entries"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, issuer: int, count: int) -> None:
        super().__init__(
            f"日志里有 {count} 条以机构 {issuer} 的密钥写入、但不是本台账所写的条目，看过之前停止签发、撤销和公告；"
            "mingzheng log foreign 列出它们，宣布密钥失密后用 mingzheng log acknowledge（docs/drills.md 演练 9）",
            f"the log holds {count} entries under keys of issuer {issuer} that this ledger did not write: nothing is "
            "issued, revoked or given notice of until they are looked at. `mingzheng log foreign` lists them; after "
            "`mingzheng key compromise`, `mingzheng log acknowledge` (docs/drills.md, 9)",
        )


class ForeignKeyGoodError(RefusalError):
    """A foreign entry stands under keys that count there: to go on behind it would be to own it."""

    code: ClassVar[str] = "ledger.foreign_key_good"

    def __init__(self, index: int, kids: Sequence[str]) -> None:
        names = " ".join(kids)
        super().__init__(
            f"日志第 {index} 条不是本台账所写，而签它的密钥（{names}）在那里仍然算数：先宣布失密，"
            f"安全条数不大于 {index}：mingzheng key compromise 编号 --good-size {index}；"
            "如果台账是旧备份，换回最新的备份",
            f"entry {index} is not this ledger's, and the keys that signed it ({names}) count there: say first that "
            f"one is stolen, with a good size of at most {index}: `mingzheng key compromise KID --good-size {index}`; "
            "or restore the newest backup, if the ledger is an old one",
        )


class ForeignAuthorityError(RefusalError):
    """A foreign entry put the authority key out in the log: no event can be told under it."""

    code: ClassVar[str] = "ledger.foreign_authority"

    def __init__(self, kid: str) -> None:
        super().__init__(
            f"日志里有不是本台账所写的条目停用了 authority 密钥 {kid}，日志不再收它签的事件；"
            "先用 mingzheng key add --role authority",
            f"an entry that is not this ledger's put the authority key {kid} out: the log takes no event of it any "
            "more; `mingzheng key add --role authority` first",
        )


class ForeignPersonsError(RefusalError):
    """That foreign entries were looked at is said by two operators, where the issuer has them."""

    code: ClassVar[str] = "ledger.foreign_persons"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, issuer: int) -> None:
        super().__init__(
            f"机构 {issuer} 设有经办人，须两名一同确认：--operator 甲 --operator 乙，各用自己的口令",
            f"issuer {issuer} has operators, and two of them say so together: --operator A --operator B, each with "
            "their own passphrase",
        )
