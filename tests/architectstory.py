"""A first-class architect, under two seals: what is typed, and what every copy is after every step.

Written down from docs/spec/verdicts.md, docs/spec/notices.md, docs/workspace.md and the profile, not from what the
program said. Other turns than the constructor's: one copy suspended alone, an extension that moves windows, its
retraction retracted.
"""

from registrationstory import Line, Step, Story

EXTENSION = "notice add extension --citation {1} --first-end 2026-08-01 --last-end 2026-09-30 --new-end 2026-10-31"
NOTICE = "《全国注册建筑师管理委员会关于开展使用一级注册建筑师电子注册证书工作的通知》（注建〔2021〕2号）"
ENDED = "REGISTRATION_EXPIRED +USAGE_EXPIRED"
ENDED_BY = "REGISTRATION_EXPIRED(1) +USAGE_EXPIRED +REGISTRATION_EXTENDED(1)"
ARCHITECT = Story(
    kind="cn.architect.1",
    jurisdiction="cn",
    title="一级注册建筑师，两枚印章 A first-class architect, two seals",
    issuer="全国注册建筑师管理委员会",
    bodies=("全国注册建筑师管理委员会", "新任主任委员", "主任委员"),
    row={
        "name": "林示例",
        "sex": "女",
        "birth_date": "1982-08-08",
        "registration_no": "20243100123",
        "certificate_issued_on": "2024-01-01",
        "employer": "示例建筑设计研究院有限公司",
        "registered_until": "2026-08-31",
    },
    approval="",
    sealed={"ABCDEFG": (1, 3), "H": (1, 2)},
    citations={
        1: "注建示例〔2026〕1号一",
        2: "注建示例〔2026〕2号",
        3: "注建示例〔2026〕3号",
        4: "注建示例〔2026〕4号",
    },
    clauses={"HANDWRITING_COMPARE": f"{NOTICE}二（四）", "USAGE_EXPIRED": f"{NOTICE}二（二）"},
    steps=(
        Step(
            day="2026-06-01",
            title="three usage copies: 投标, 施工图审查, 资质申报",
            typed=(
                "issue --copy usage --purpose 投标",
                "issue --copy usage --purpose 施工图审查",
                "issue --copy usage --purpose 资质申报",
            ),
            makes="ABC",
            journal=("issue", "issue", "issue"),
            log={"issue.3": 3, "status": 1},
            lines=(Line("ABC", "VALID", "", "live", "each for its own purpose, sealed by committee and chairman"),),
        ),
        Step(
            day="2026-06-03",
            title="data change: another employer, a usage copy",
            row={"employer": "示例城市规划设计有限公司"},
            typed=("issue --copy usage --purpose 投标",),
            makes="D",
            journal=("issue", "supersede"),
            log={"issue.3": 1, "supersede": 3, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABC", "SUPERSEDED", "VALID", "superseded", "changed data are downloaded again (二（三）)"),
                Line(
                    "D",
                    "VALID",
                    "VALID_COMPARE +SERIAL_NEWER_THAN_LIST +CONFLICT_UNIT",
                    "live",
                    "old data see one person with two employers, and say so",
                ),
            ),
        ),
        Step(
            day="2026-06-04",
            title="a second usage copy: 资质申报",
            typed=("issue --copy usage --purpose 资质申报",),
            makes="E",
            journal=("issue",),
            log={"issue.3": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABC", "SUPERSEDED", "=", "superseded", "as before"),
                Line("D", "VALID", "=", "live", "a fresh copy does nothing to those before it"),
                Line("E", "VALID", "VALID +SERIAL_NEWER_THAN_LIST", "live", "a list of yesterday cannot know it"),
            ),
        ),
        Step(
            day="2026-06-08",
            title="re-issue 换领",
            row={"certificate_issued_on": "2026-06-08"},
            typed=("reissue --copy usage --purpose 投标 --reason 照片更换",),
            makes="F",
            journal=("issue", "supersede"),
            log={"issue.3": 1, "supersede": 2, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABC", "SUPERSEDED", "=", "superseded", "as before"),
                Line("DE", "SUPERSEDED", "VALID", "superseded", "the re-issue takes the place of both"),
                Line("F", "VALID", "VALID +SERIAL_NEWER_THAN_LIST", "live", "same data, same end, dated today"),
            ),
        ),
        Step(
            day="2026-06-09",
            title="a second usage copy: 资质申报",
            typed=("issue --copy usage --purpose 资质申报",),
            makes="G",
            journal=("issue",),
            log={"issue.3": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED", "=", "superseded", "as before"),
                Line("F", "VALID", "=", "live", "as before"),
                Line("G", "VALID", "VALID +SERIAL_NEWER_THAN_LIST", "live", "of the re-issued data"),
            ),
        ),
        Step(
            day="2026-06-10",
            title="suspend copy G alone",
            typed=("suspend --serial @G --reason 遗失",),
            journal=("suspend 张三",),
            log={"suspend": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED", "=", "superseded", "as before"),
                Line("F", "VALID", "=", "live", "another copy's suspension is not its own"),
                Line("G", "SUSPENDED", "VALID", "suspended", "one serial alone"),
            ),
        ),
        Step(
            day="2026-06-12",
            title="suspend the registration",
            typed=("suspend --reason 调查", "issue --copy usage --purpose 投标 -> record.registration_suspended"),
            journal=("suspend 张三",),
            log={"suspend": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED", "=", "superseded", "only live copies are suspended"),
                Line("F", "SUSPENDED", "VALID", "suspended", "with the registration"),
                Line("G", "SUSPENDED", "=", "suspended", "already was"),
            ),
        ),
        Step(
            day="2026-06-13",
            title="reinstate the registration",
            typed=("reinstate --reason 调查完毕",),
            journal=("reinstate 张三",),
            log={"reinstate": 2, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED", "=", "superseded", "what was superseded does not come back"),
                Line("FG", "VALID", "SUSPENDED", "live", "every suspended copy, also the one suspended alone before"),
            ),
        ),
        Step(
            day="2026-06-15",
            title="notice 1: ends of 08-01 to 09-30 become 10-31, windows too",
            typed=(f"{EXTENSION} --move-windows --reason 统一延期", "approve"),
            journal=("request 张三", "notice-blanket_extension 张三 李四"),
            log={"notice.blanket_extension": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED +REGISTRATION_EXTENDED(1)", "SUPERSEDED", "superseded", "still superseded"),
                Line("FG", "VALID +REGISTRATION_EXTENDED(1)", "VALID", "live", "both ends and windows are 10-31 now"),
            ),
        ),
        Step(
            day="2026-06-18",
            title="notice 2: from 06-20 the new chairman seals",
            typed=("notice add seal --citation {2} --from 2026-06-20 --body 1 --body 2 --reason 换届", "approve"),
            journal=("request 张三", "notice-seal_change 张三 李四"),
            log={"notice.seal_change": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED +REGISTRATION_EXTENDED(1)", "=", "superseded", "as before"),
                Line(
                    "FG",
                    "VALID +REGISTRATION_EXTENDED(1)",
                    "=",
                    "live",
                    "the former chairman's seal stays right on what was issued in his time",
                ),
            ),
        ),
        Step(
            day="2026-06-22",
            title="a usage copy under the new chairman's seal",
            typed=("issue --copy usage --purpose 投标",),
            makes="H",
            journal=("issue",),
            log={"issue.3": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", "SUPERSEDED +REGISTRATION_EXTENDED(1)", "=", "superseded", "as before"),
                Line("FG", "VALID +REGISTRATION_EXTENDED(1)", "=", "live", "as before"),
                Line(
                    "H",
                    "VALID +REGISTRATION_EXTENDED(1)",
                    "VALID +REGISTRATION_EXTENDED(1) +SERIAL_NEWER_THAN_LIST",
                    "live",
                    "trust data of 06-18 know the new seal already",
                ),
            ),
        ),
        Step(
            day="2026-09-01",
            title="nothing is done; the end stated in the copies was yesterday",
            typed=(),
            log={"status": 1},
            age="STALE",
            lines=(
                Line("ABCDE", "SUPERSEDED +REGISTRATION_EXTENDED(1)", "=", "superseded", "as before"),
                Line(
                    "FGH",
                    "VALID +REGISTRATION_EXTENDED(1)",
                    "STALE +REGISTRATION_EXTENDED(1)",
                    "live",
                    "the notice moved the windows before they ran out; data of 06-22 are too old to say",
                ),
            ),
        ),
        Step(
            day="2026-09-05",
            title="notice 3 retracts notice 1",
            typed=("notice add retract 1 --citation {3} --reason 提前结束", "approve"),
            journal=("request 张三", "notice-retraction 张三 李四"),
            log={"notice.retraction": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line(
                    "ABCDE",
                    f"SUPERSEDED +{ENDED}",
                    "SUPERSEDED +REGISTRATION_EXTENDED(1)",
                    "superseded, past",
                    "ends and windows are 08-31 again",
                ),
                Line(
                    "FGH",
                    ENDED,
                    "VALID +REGISTRATION_EXTENDED(1)",
                    "live, past",
                    "the same; who did not update does not know the retraction",
                ),
            ),
        ),
        Step(
            day="2026-09-07",
            title="notice 4 retracts notice 3",
            typed=("notice add retract 3 --citation {4} --reason 恢复", "approve"),
            journal=("request 张三", "notice-retraction 张三 李四"),
            log={"notice.retraction": 1, "status": 1},
            age="DATA_AGED",
            lines=(
                Line(
                    "ABCDE",
                    "SUPERSEDED +REGISTRATION_EXTENDED(1)",
                    f"SUPERSEDED +{ENDED}",
                    "superseded",
                    "notice 1 stands again",
                ),
                Line("FGH", "VALID +REGISTRATION_EXTENDED(1)", ENDED, "live", "notice 1 stands again"),
            ),
        ),
        Step(
            day="2026-11-01",
            title="nothing is done; the moved end was yesterday",
            typed=(),
            log={"status": 1},
            age="STALE",
            lines=(
                Line("ABCDE", f"SUPERSEDED +{ENDED_BY}", "=", "superseded, past", "run out as well"),
                Line("FGH", ENDED_BY, "=", "live, past", "past the end that notice 1 gave, which the finding cites"),
            ),
        ),
        Step(
            day="2026-11-02",
            title="revocation asked for",
            typed=("revoke --reason 伪造材料",),
            journal=("request 张三",),
            log={"status": 1},
            age="DATA_AGED",
            lines=(
                Line("ABCDE", f"SUPERSEDED +{ENDED_BY}", "=", "superseded, past", "as before"),
                Line("FGH", ENDED_BY, "=", "live, past", "one person alone revokes nothing"),
            ),
        ),
        Step(
            day="2026-11-02",
            title="the other approves",
            typed=("approve",),
            journal=("revoke 张三 李四",),
            log={"revoke": 3, "status": 1},
            lines=(
                Line("ABCDE", f"SUPERSEDED +{ENDED_BY}", "=", "superseded, past", "only live copies are revoked"),
                Line(
                    "FGH",
                    f"REVOKED +{ENDED_BY}",
                    ENDED_BY,
                    "revoked, past",
                    "for good; data of an hour ago do not know it",
                ),
            ),
        ),
    ),
)
