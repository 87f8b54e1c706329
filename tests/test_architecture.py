"""House rules a machine can check: layers, purity, circles, homes of heavy libraries, sizes, packaging."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("keys", "formats", "log", "issuer", "verifier")

# A room imports only rooms to its left; issuer and verifier are strangers.
MAY_IMPORT = {
    "keys": {"keys"},
    "formats": {"keys", "formats"},
    "log": {"keys", "formats", "log"},
    "issuer": {"keys", "formats", "log", "issuer"},
    "verifier": {"keys", "formats", "log", "verifier"},
    "mingzheng": {"keys", "formats", "log", "issuer", "verifier", "mingzheng"},
}

# Modules that touch files, clock, randomness, processes or the terminal. Everything else is pure.
EFFECTFUL: dict[str, set[str]] = {
    "keys": {
        "custody",
        "snapshot",
        "cli",
        "libcrypto",
        "sm2backend",
        "sealtoken",
        "durable",
        "deadline",
        "pins",
        "tuffetch",
        "tufclient",
        "tufrepo",
        "trust_cli",
    },
    "formats": {
        "qrimage",
        "extract",
        "library",
        "images",
        "fontfile",
        "likeness",
        "sealart",
        "pool",
        "confine",
        "pdf.compose",
        "pdf.seal",
        "pdf.extract",
        "pdf.integrity",
        "pdf.outside",
        "pdf.raster",
        "ofd.integrity",
        "ofd.extract",
        "ofd.compose",
        "ofd.draw",
        "ofd.seal",
    },
    "log": {
        "durable",
        "database",
        "copying",
        "directory",
        "postgres",
        "queuetable",
        "queuefeed",
        "frontqueue",
        "wake",
        "s3",
        "objects",
        "cloud",
        "rollover",
        "migrate",
        "instance",
        "lock",
        "recovery",
        "store",
        "sequencer",
        "writer",
        "client",
        "monitor",
        "auditfiles",
        "gather",
        "headcheck",
        "follow_cli",
        "followed",
        "logargs",
        "httpfetch",
        "mirror",
        "repair",
        "watch",
        "collected",
        "fsck",
        "statusmaker",
        "landmarkmaker",
        "landmarkcheck",
        "server",
        "serverfiles",
        "servernode",
        "serverqueue",
        "serverrun",
        "submitclient",
        "witnessstore",
        "witnessnode",
        "witnessclient",
        "witnessserver",
        "witness_cli",
        "cli",
    },
    "issuer": {
        "workspace",
        "vault",
        "ledger",
        "deskbook",
        "lockbook",
        "applicationbook",
        "applicationfiles",
        "application_cli",
        "applying",
        "locking",
        "lock_cli",
        "story",
        "story_cli",
        "expiring",
        "expiring_cli",
        "operators",
        "operator_cli",
        "approval",
        "approval_cli",
        "act_cli",
        "journal_cli",
        "ledgerfile",
        "randomness",
        "workspacelock",
        "backup",
        "restore",
        "archive",
        "upgrade",
        "forget",
        "foreign",
        "foreignbook",
        "foreign_cli",
        "serialstates",
        "keep_cli",
        "logplace",
        "storage_cli",
        "publish",
        "rollover",
        "render",
        "issue",
        "keywork",
        "key_cli",
        "lifecycle",
        "noticebook",
        "noticework",
        "notice_cli",
        "exporting",
        "landmarks",
        "status_cli",
        "intake",
        "jobs",
        "cli",
        "rules_cli",
        "rules_ask_cli",
        "rules_args",
        "records_cli",
        "issue_cli",
        "recordfile",
        "faultfile",
        "workbook",
        "pictures",
        "precheck",
        "progress",
        "timestamps",
        "options",
        "press",
        "sealing",
        "sealstore",
        "sealrules",
        "sealwork",
        "sealtrial",
        "seal_cli",
        "serve_cli",
        "remote",
        "witnessing",
    },
    "verifier": {"cli", "library", "bulk", "wire", "pagecheck", "pagekit", "pagejudge", "pageproof"},
    "mingzheng": {"cli", "demo", "demo_data", "demo_files", "doctor", "__main__"},
}

# What a pure module may never import.
IMPURE_LIBRARIES = {
    "os", "io", "pathlib", "time", "random", "secrets", "socket", "sqlite3", "subprocess", "logging", "tempfile",
    "shutil", "fcntl", "msvcrt", "getpass", "urllib", "http", "asyncio", "threading", "multiprocessing", "click",
    "rich", "PIL", "pypdfium2", "zxingcpp", "uharfbuzz", "pyzbar", "importlib", "uuid", "locale", "sys", "ctypes",
}  # fmt: skip

# Heavy or native libraries and the only places that may import them.
HOMES = {
    "pyhanko": {"formats.pdf"},
    "sanic": {"log.server", "log.witnessserver", "verifier.server", "issuer.server"},
    "tuf": {"keys.tufclient"},
    "pypdfium2": {"formats.pdf", "formats.sealart", "formats.extract", "mingzheng.doctor"},
    "uharfbuzz": {"formats.pdf", "formats.fontfile", "mingzheng.doctor"},
    "zxingcpp": {"formats.qrimage", "mingzheng.doctor"},
    "pyzbar": {"formats.qrimage", "mingzheng.doctor"},
    "PIL": {"formats", "issuer.intake", "mingzheng"},
    "openpyxl": {"issuer.workbook"},
    "rich": {"mingzheng", "issuer.cli", "verifier.cli", "log.cli"},
    "cryptography": {"keys", "mingzheng.doctor"},
    "pkcs11": {"keys.sealtoken"},
    "psycopg": {"log.postgres", "log.queuetable"},
    "sqlite3": {"log", "issuer", "mingzheng.doctor"},
    "click": {
        "mingzheng",
        "keys.cli",
        "keys.trust_cli",
        "log.cli",
        "log.follow_cli",
        "log.logargs",
        "log.witness_cli",
        "issuer",
        "verifier.cli",
    },
}

# The closure of verifier.pipeline is also the port scope of a browser verifier: no effectful module in it.
PURE_ENTRY = "verifier.pipeline"

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 50


@cache
def modules() -> dict[str, Path]:
    """Every module of ours as `room.name` -> file; the rooms' real directories, not the symlinks."""
    found: dict[str, Path] = {}
    for room in (*ROOMS, "mingzheng"):
        base = ROOT / room
        for path in sorted(base.rglob("*.py")):
            if room == "mingzheng" and path.parent != base:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"), filename=str(modules()[name]))


def is_face(name: str) -> bool:
    return modules()[name].name == "__init__.py"


def is_effectful(name: str) -> bool:
    room, _, rest = name.partition(".")
    return rest in EFFECTFUL[room] or (is_face(name) and name == "mingzheng")


def imports(name: str, *, runtime_only: bool = False) -> Iterator[str]:
    """Absolute dotted names imported by a module, anywhere in it (TYPE_CHECKING blocks only if not runtime_only)."""
    skipped: set[int] = set()
    if runtime_only:
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree(name)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            base = node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def ours(name: str, *, runtime_only: bool = False) -> set[str]:
    """Our own modules imported by a module, as keys of `modules()`."""
    found = set()
    for target in imports(name, runtime_only=runtime_only):
        if target.split(".")[0] != "mingzheng":
            continue
        short = target.removeprefix("mingzheng.") if target != "mingzheng" else "mingzheng"
        for candidate in (short, f"mingzheng.{short}"):
            if candidate in modules():
                found.add(candidate)
    return found - {name}


ALL = sorted(modules())


@pytest.mark.parametrize("name", ALL)
def test_layers(name: str) -> None:
    room = name.split(".")[0]
    wrong = {target for target in ours(name) if target.split(".")[0] not in MAY_IMPORT[room]}
    assert not wrong, f"{name} may not import {sorted(wrong)}"


@pytest.mark.parametrize("name", ALL)
def test_no_bare_room_imports(name: str) -> None:
    assert not {t for t in imports(name) if t.split(".")[0] in ROOMS}


@pytest.mark.parametrize("name", [n for n in ALL if not is_effectful(n)])
def test_pure_modules_touch_nothing(name: str) -> None:
    libraries = {target.split(".")[0] for target in imports(name)} & IMPURE_LIBRARIES
    assert not libraries, f"pure module {name} imports {sorted(libraries)}"
    effectful = {target for target in ours(name, runtime_only=True) if is_effectful(target)}
    assert not effectful, f"pure module {name} imports effectful {sorted(effectful)}"
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    forbidden = {"open", "print", "input", "datetime.now", "datetime.datetime.now", "date.today", "datetime.date.today"}
    assert not calls & forbidden, f"pure module {name} calls {sorted(calls & forbidden)}"


def test_effectful_names_exist() -> None:
    missing = {f"{room}.{rest}" for room, names in EFFECTFUL.items() for rest in names} - set(modules())
    assert not missing, f"listed as effectful but not there: {sorted(missing)}"


def test_no_import_circle() -> None:
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"circle: {' -> '.join((*path, name))}"
        if state.get(name) == 2:
            return
        state[name] = 1
        for target in sorted(ours(name, runtime_only=True)):
            visit(target, (*path, name))
        state[name] = 2

    for name in ALL:
        visit(name, ())


@pytest.mark.parametrize("name", ALL)
def test_no_module_imports_its_own_package_face(name: str) -> None:
    package = name if is_face(name) else name.rpartition(".")[0]
    if package == "mingzheng":
        return  # the version lives there
    direct = {
        node.module.removeprefix("mingzheng.")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if f"{node.module}.{alias.name}".removeprefix("mingzheng.") not in modules()
    }
    assert is_face(name) or package not in direct, f"{name} imports from its own package face"


@pytest.mark.parametrize("name", [n for n in ALL if is_face(n) and n != "mingzheng"])
def test_package_faces_only_re_export(name: str) -> None:
    for node in tree(name).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert docstring or exports or isinstance(node, ast.ImportFrom), f"{name}: {ast.unparse(node)[:60]}"


@pytest.mark.parametrize("name", ALL)
def test_heavy_libraries_stay_at_home(name: str) -> None:
    for target in imports(name):
        library = target.split(".")[0]
        homes = HOMES.get(library)
        if homes is not None:
            assert any(name == home or name.startswith(home + ".") for home in homes), f"{name} imports {library}"


def test_verify_text_closure_is_pure() -> None:
    seen: set[str] = set()
    pending = [PURE_ENTRY]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        pending.extend(ours(name, runtime_only=True))
    assert len(seen) > 15
    assert not {name for name in seen if is_effectful(name)}


@pytest.mark.parametrize("name", ALL)
def test_sizes_and_docstrings(name: str) -> None:
    lines = modules()[name].read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{name} has {lines} lines"
    assert ast.get_docstring(tree(name)), f"{name} has no module docstring"
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            docstring = ast.get_docstring(node, clean=False)
            length -= docstring.count("\n") + 1 if docstring else 0
            assert length <= MAX_FUNCTION_LINES, f"{name}.{node.name} has {length} lines"
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if public and node in tree(name).body:
            assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"


@pytest.mark.parametrize("name", ALL)
def test_no_blanket_catch(name: str) -> None:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            undone = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None  # clean up, then go on raising
            allowed = undone or (
                name in {"mingzheng.cli", "formats.qrimage", "formats.pdf.outside"} and caught == "Exception"
            )
            assert allowed or caught not in {"Exception", "BaseException", "everything"}, f"{name} catches {caught}"


def test_every_error_class_has_a_code_of_its_own() -> None:
    codes: dict[str, str] = {}
    for name in ALL:
        for node in tree(name).body:
            if not isinstance(node, ast.ClassDef) or not node.name.endswith("Error"):
                continue
            for item in node.body:
                target = (
                    item.target
                    if isinstance(item, ast.AnnAssign)
                    else item.targets[0]
                    if isinstance(item, ast.Assign)
                    else None
                )
                if isinstance(target, ast.Name) and target.id == "code" and isinstance(item.value, ast.Constant):
                    code = str(item.value.value)
                    assert code not in codes, f"{code} in {name}.{node.name} and {codes[code]}"
                    codes[code] = f"{name}.{node.name}"
    assert len(codes) > 20


def test_package_list_is_the_tree() -> None:
    """A sub-package missing from the list imports in a checkout and is silently absent from the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    faces = {name for name in ALL if is_face(name)}
    assert listed == {name if name == "mingzheng" else f"mingzheng.{name}" for name in faces}


def test_symlinks_for_type_checkers() -> None:
    for room in ROOMS:
        link = ROOT / "mingzheng" / room
        assert link.is_symlink() or link.is_file(), f"mingzheng/{room} should be a symlink to ../{room}"
        if link.is_symlink():
            assert link.readlink() == Path("..") / room
