"""Small Java programs around other people's validators, built once into a cache and run on files.

The cache is `MINGZHENG_JAVA_CACHE`, by default `.ci/java-cache` of the checkout; it is keyed by the project's files.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = ROOT / "tests" / "java"


def missing() -> str | None:
    """Why no Java program can be built here, if so."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def cache() -> Path:
    """Where built programs are kept."""
    return Path(os.environ.get("MINGZHENG_JAVA_CACHE") or ROOT / ".ci" / "java-cache")


def class_path(project: str) -> str:
    """The class path of a project of tests/java, built if it is not there yet."""
    source = PROJECTS / project
    files = sorted(path for path in source.rglob("*") if path.is_file() and "target" not in path.parts)
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes() + b"\0")
    home = cache() / f"{project}-{digest.hexdigest()[:16]}"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        (home / "classes").mkdir(parents=True)
        output = f"-DoutputDirectory={home / 'lib'}"
        _must("mvn", "-q", "-B", "-f", source / "pom.xml", "dependency:copy-dependencies", output)
        programs = [path for path in files if path.suffix == ".java"]
        options = ("--release", "17", "-encoding", "UTF-8", "-cp", f"{home / 'lib'}{os.sep}*", "-d", home / "classes")
        _must("javac", *options, *programs)
        (home / "ready").touch()
    return f"{home / 'classes'}{os.pathsep}{home / 'lib'}{os.sep}*"


def _must(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def run(project: str, main: str, *arguments: str | Path) -> list[list[str]]:
    """The lines a program prints, parted at tabs."""
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", class_path(project), main]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, check=False, timeout=300, env={**os.environ, "TZ": "UTC"}
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-3000:]
    return [line.split("\t") for line in done.stdout.decode("utf-8").splitlines()]
