"""Why a lock stands in the way, or cannot be made. Spec: docs/workspace.md, Lock."""

from typing import ClassVar

from mingzheng.issuer.refusals import RefusalError

__all__ = ["LockWithoutRuleError", "NewCopiesLockedError"]


class NewCopiesLockedError(RefusalError):
    """The registration is locked: no new copy can be obtained until it is unlocked."""

    code: ClassVar[str] = "lock.new_copies"

    def __init__(self) -> None:
        super().__init__(
            "该注册已锁定，不能取得新副本；事由见 mingzheng status，解锁用 mingzheng unlock",
            "the registration is locked, no new copy can be obtained: `mingzheng status` says why, "
            "`mingzheng unlock` ends it",
        )


class LockWithoutRuleError(RefusalError):
    """The rules of this kind and place know no lock: nobody may be refused a copy without one."""

    code: ClassVar[str] = "lock.no_rule"

    def __init__(self, kind: str, zh: str, en: str) -> None:
        super().__init__(
            f"{kind} 的规则没有锁定（{zh}），无依据不得拒发副本；需要停用的请用 mingzheng suspend",
            f"the rules of {kind} know no lock ({en}), and copies are not refused without one: "
            "use `mingzheng suspend` where the certificate is to stop",
        )
