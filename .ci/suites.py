"""What .ci/run and .ci/full have in common: install what is needed, run suites, say how many tests each ran."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
PEERS = ROOT / ".ci" / "peers-env"
JAVA_CACHE = ROOT / ".ci" / "java-cache"
MARKED = (
    *("go", "node", "peers", "zbar", "strace", "root", "poppler", "qpdf", "pkcs11", "java", "postgres", "s3", "server"),
    "wheel",
)
APT = {
    "strace": "strace",
    "pdftotext": "poppler-utils",
    "pdfsig": "poppler-utils",
    "qpdf": "qpdf",
    "softhsm2-util": "softhsm2",
    "pg_ctlcluster": "postgresql",
    "java": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "unshare": "util-linux",
    "git": "git",
    "go": "golang-go",
    "node": "nodejs",
    "npm": "npm",
}
SUITE = re.compile(r"^suite (\w+): (\d+) passed, (\d+) failed, (\d+) skipped, (\d+) s$", re.MULTILINE)
COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped|xfailed|xpassed)")


class Runner:
    """Runs suites one after the other and remembers a line for each."""

    def __init__(self, *, full: bool) -> None:
        self.full = full
        self.lines: list[str] = []
        self.failed: list[str] = []
        self._beside: tuple[str, subprocess.Popen[str], float] | None = None
        self.environment = {**os.environ, "PYTHONUTF8": "1", "MINGZHENG_FULL": "0"}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of a thousand processes compiles everything

    def with_everything(self) -> None:
        """From here on the marked suites find what they need; before, a plain clone is tested."""
        self.environment["MINGZHENG_PEERS_PYTHON"] = str(PEERS / "bin" / "python")
        self.environment["MINGZHENG_JAVA_CACHE"] = str(JAVA_CACHE)
        self.environment["MINGZHENG_WEED"] = str(PEERS / "bin" / "weed")
        self.environment["MINGZHENG_WHEEL"] = "1"
        self.environment["MINGZHENG_SUITES"] = "1"
        self.environment["MINGZHENG_FULL"] = "1" if self.full else "0"

    def note(self, name: str, good: bool, text: str, seconds: float) -> None:
        line = f"{'ok  ' if good else 'FAIL'} {name:<28} {text}  ({seconds:.0f} s)"
        self.lines.append(line)
        print(line, flush=True)
        if not good:
            self.failed.append(name)

    def _run(self, command: list[str | Path]) -> "subprocess.CompletedProcess[str]":
        process = self.started(command)
        return subprocess.CompletedProcess(command, stdout=process.communicate()[0], returncode=process.returncode)

    def command(self, name: str, command: list[str | Path]) -> None:
        """One suite that is no pytest run: its exit status decides."""
        self._judge(name, self.started(command), time.monotonic())

    def begin(self, name: str, command: list[str | Path]) -> None:
        """Likewise, beside what follows, until `end`. It does not outlive this process."""
        process = self.started(command)
        atexit.register(process.kill)
        self._beside = (name, process, time.monotonic())

    def end(self) -> None:
        """Wait for what `begin` began, if anything."""
        if self._beside is not None:
            beside, self._beside = self._beside, None
            self._judge(*beside)

    def started(self, command: list[str | Path]) -> "subprocess.Popen[str]":
        """A program begun from the checkout, both streams together."""
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _judge(self, name: str, process: "subprocess.Popen[str]", start: float) -> None:
        """Wait for its end; its exit status decides, its last line is the result."""
        printed = process.communicate()[0]
        if process.returncode != 0:
            print(printed[-6000:], flush=True)
        last = (printed.strip().splitlines() or [""])[-1][:160]
        self.note(name, process.returncode == 0, last, time.monotonic() - start)

    def tests(self, name: str, command: list[str | Path]) -> None:
        """One pytest run: it must pass and must have run at least one test."""
        start = time.monotonic()
        done = self._run(command)
        counts = {word.rstrip("s"): int(number) for number, word in COUNTS.findall(done.stdout[-4000:])}
        good = done.returncode == 0 and counts.get("passed", 0) > 0
        if not good:
            print(done.stdout[-8000:], flush=True)
        elif counts.get("skipped"):
            print("\n".join(x for x in done.stdout.splitlines() if x.startswith("SKIPPED"))[:3000], flush=True)
        ran = counts.get("passed", 0) + counts.get("failed", 0)
        text = f"{ran} tests ran, {counts.get('passed', 0)} passed, {counts.get('skipped', 0)} skipped"
        self.note(name, good, text, time.monotonic() - start)

    def marked(self, suites: Sequence[str] = MARKED) -> None:
        """Marked suites in one run on two processes; each must have run at least one test, and none failed."""
        command = [PYTHON, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", " or ".join(suites)]
        done = self._run(command)
        if done.returncode != 0:
            print(done.stdout[-12000:], flush=True)
        print("\n".join(x for x in done.stdout.splitlines() if x.startswith("SKIPPED"))[:3000], flush=True)
        found = {name: [int(x) for x in counts] for name, *counts in SUITE.findall(done.stdout)}
        for name in suites:
            passed, failed, skipped, seconds = found.get(name, [0, 0, 0, 0])
            text = f"{passed + failed} tests ran, {passed} passed, {skipped} skipped"
            self.note(f"marked: {name}", passed > 0 and not failed, text, seconds)
        if done.returncode != 0 and not any(name.startswith("marked") for name in self.failed):
            self.note("marked: the run itself", False, f"exit status {done.returncode}", 0)

    def finish(self) -> int:
        print("\n" + "\n".join(self.lines))
        print("all green" if not self.failed else f"failed: {', '.join(self.failed)}")
        return 1 if self.failed else 0


def install_system() -> None:
    """Debian packages that marked suites use; only where they are missing and we may install."""
    wanted = list(dict.fromkeys(package for program, package in APT.items() if shutil.which(program) is None))
    if not list(Path("/usr/lib").rglob("libzbar.so.0*")):
        wanted.append("libzbar0")
    if not wanted:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"not installed and cannot install: {', '.join(wanted)}", flush=True)
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    for package in wanted:
        subprocess.run(["apt-get", "install", "-y", "-qq", package], env=environment, check=False)


def install_python() -> None:
    """The development tools into .venv, the peers into an environment of their own; both from hashed locks."""
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:"]
    lock = ["--require-hashes", "-r"]
    subprocess.run([PYTHON, *pip, *lock, ROOT / "requirements" / "dev.lock"], check=True)
    if not (PEERS / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
    subprocess.run([PEERS / "bin" / "python", *pip, *lock, ROOT / "requirements" / "peers.lock"], check=True)


def machine() -> str:
    """One line about the machine, for results that are kept."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        model = names[0] if names else model
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {model}, Python {sys.version.split()[0]}, load {load}"
