"""Certificates for the benchmarks, issued and sealed by the program's own commands, with trust data that knows them.

Three kinds, among them the one with two seals. Photos are noise of a chosen size, so that a file weighs what a file
with a real portrait weighs. Everything in it is invented.
"""

import contextlib
import datetime
import io
import json
import time
from dataclasses import replace
from pathlib import Path

from PIL import Image

from mingzheng.demo_data import ARCHITECTS, CONSTRUCTORS, SAFETY, Person, write_records
from mingzheng.verifier.bulk import Recipe
from mingzheng.verifier.context import Expectations, VerifyContext

SURNAMES, GIVEN = "张王李赵陈杨黄周吴徐孙马朱胡林郭何高罗郑", "建国明远志强海燕秀英文博思源晓东丽华"
KINDS = (
    (CONSTRUCTORS, "沪1312015201{:06d}"),
    (ARCHITECTS, "2024{:07d}"),
    (SAFETY, "陕建安B2024{:06d}"),
)


class Office:
    """A workspace of three issuers with trial seals in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workspace, self.trust = folder, folder / "workspace", folder / "trust"
        self.secret = folder / "passphrase.txt"
        self.secret.touch(mode=0o600)
        self.secret.write_text("benchmarks hold no secrets\n", encoding="ascii")
        first = ("--issuer", "示范住房城乡建设部门", "--kind", "cn.constructor.1", "--body", "1=示范住房城乡建设部门")
        self.run("init", *first, "--origin", "demo.bench.example/log", "--demo")
        for number, name, kind, place, second in (
            ("2", "示范注册建筑师管理委员会", "cn.architect.1", "cn", ("--body", "2=范主任")),
            ("3", "示范省住房和城乡建设厅", "cn.safety", "sn", ()),
        ):
            self.run("issuer", "add", "--number", number, "--name", name, "--kind", kind, "--jurisdiction", place,
                     "--body", f"1={name}", *second)  # fmt: skip
        self.run("seal", "trial")

    def run(self, *words: str | Path) -> str:
        """One command in this process; its words are kept from our standard output."""
        from mingzheng.cli import cli

        name, *rest = map(str, words)
        group = [name, rest.pop(0)] if name in ("issuer", "seal", "trust") else [name]
        line = [*group, "--workspace", str(self.workspace), "--passphrase-file", str(self.secret), *rest]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = cli.main(line, standalone_mode=False)
        assert status in (None, 0), f"{group} ended with {status}: {printed.getvalue()[-500:]}"
        return printed.getvalue()

    def issue(self, kind: int, count: int, *, form: str, first: int = 0, photo_bytes: int | None = None) -> list[Path]:
        """Usage copies of one of KINDS for people from `first` on, one file each."""
        base, pattern = KINDS[kind]
        people = [_person(base[number % len(base)], pattern, number) for number in range(first, first + count)]
        records = self.folder / f"records-{kind}-{form}-{photo_bytes}" / "people.csv"
        write_records(records, people, body="1", today=datetime.datetime.now(datetime.UTC).date())
        for person in people if photo_bytes is not None else ():
            (records.parent / f"{person.registration_no}.jpg").write_bytes(photo(photo_bytes or 0))
        out = self.folder / f"copies-{kind}-{form}-{photo_bytes}"
        printed = self.run("issue", records, "--out", out, "--copy", "usage", "--purpose", "示范大桥项目投标",
                           "--format", form, "--json")  # fmt: skip
        rows = [json.loads(line) for line in printed.splitlines()]
        files = [Path(row["files"][-1]["file"]) for row in rows if row["type"] == "copy"]
        assert len(files) == count
        return files

    def context(self) -> VerifyContext:
        """The trust data exported, and what a verification believes of it, judged now."""
        self.run("trust", "export", self.trust)
        return self.recipe().build()

    def recipe(self) -> Recipe:
        """Policy site, as of now."""
        expect = Expectations(purpose=None, specialty=None, trust_fingerprint=None)
        return Recipe(trust=self.trust, now=int(time.time()), at=None, policy="site", expect=expect)


def photo(size: int) -> bytes:
    """A portrait-shaped JPEG of at most that many bytes and nearly as many: noise over a gradient."""
    best = b""
    for width in range(200, 2000, 20):
        ground = Image.linear_gradient("L").resize((width, width * 7 // 5))
        grain = Image.effect_noise(ground.size, 60)
        picture = Image.merge("RGB", [Image.blend(ground, grain, share) for share in (0.4, 0.5, 0.45)])
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=90, optimize=True)  # so that a package cannot deflate it
        if len(out.getvalue()) > size:
            break
        best = out.getvalue()
    assert best, f"no photo of {size} bytes"
    return best


def _person(base: Person, pattern: str, number: int) -> Person:
    name = SURNAMES[number % 20] + GIVEN[number % len(GIVEN)] + GIVEN[number // 7 % len(GIVEN)]
    return replace(base, name=name, registration_no=pattern.format(100 + number))
