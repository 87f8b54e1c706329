"""Shared set-up: hypothesis profiles (`MINGZHENG_FULL=1` runs the full counts) and reasons for marked tests to skip."""

import importlib.util
import logging
import os
import shutil

import cloudservers
import javajudge
import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("logsuite")

FULL = os.environ.get("MINGZHENG_FULL") == "1"

settings.register_profile("default", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full" if FULL else "default")


@pytest.fixture(autouse=True)
def _log_lines_as_at_first() -> None:
    """A command run within an earlier test, or a fixture's, said where log lines go and which: not noticed here."""
    ours = logging.getLogger("mingzheng")
    ours.setLevel(logging.NOTSET)
    ours.handlers.clear()


def _missing(marker: str) -> str | None:
    if marker == "go" and shutil.which("go") is None:
        return "the Go toolchain is not installed"
    if marker == "node" and (shutil.which("node") is None or shutil.which("npm") is None):
        return "Node.js and npm are not installed"
    if marker == "peers" and not os.environ.get("MINGZHENG_PEERS_PYTHON"):
        return "MINGZHENG_PEERS_PYTHON names no environment with the peer packages"
    if marker == "strace" and shutil.which("strace") is None:
        return "strace is not installed"
    if marker == "root" and (not hasattr(os, "geteuid") or os.geteuid() != 0):
        return "root is needed for a network namespace"
    if marker == "zbar":
        try:
            import pyzbar.pyzbar  # noqa: F401
        except ImportError as error:
            return f"pyzbar or libzbar is not installed: {error}"
    if marker == "java":
        if not os.environ.get("MINGZHENG_JAVA_CACHE"):
            return "set MINGZHENG_JAVA_CACHE to a directory to build the Java judges with the network"
        return javajudge.missing()
    if marker == "server" and importlib.util.find_spec("sanic") is None:
        return "Sanic is not installed"
    if marker == "poppler" and (shutil.which("pdfsig") is None or shutil.which("pdftoppm") is None):
        return "poppler's programs are not installed"
    if marker == "qpdf" and shutil.which("qpdf") is None:
        return "qpdf is not installed"
    if marker == "pkcs11":
        try:
            import pkcs11  # noqa: F401
        except ImportError:
            return "python-pkcs11 is not installed"
        if shutil.which("softhsm2-util") is None:
            return "SoftHSM is not installed"
    if marker == "postgres":
        try:
            import psycopg  # noqa: F401
        except ImportError:
            return "psycopg is not installed"
        if cloudservers.postgres_bin() is None:
            return "the programs of a PostgreSQL server are not installed"
    if marker == "s3" and cloudservers.weed() is None:
        return "no S3 server: `weed` is not on PATH and MINGZHENG_WEED names none"
    if marker == "wheel" and os.environ.get("MINGZHENG_WHEEL") != "1":
        return "set MINGZHENG_WHEEL=1 to build the wheel and install it with the network"
    return None


MARKERS = (
    *("go", "node", "peers", "strace", "root", "zbar", "java", "poppler", "qpdf", "pkcs11", "postgres", "s3", "server"),
    "wheel",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip marked tests, with the reason, where what they need is missing."""
    for item in items:
        for marker in MARKERS:
            if item.get_closest_marker(marker) is not None and (reason := _missing(marker)) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With MINGZHENG_SUITES=1 a line for each marker: how many of its tests ran, and for how long."""
    if os.environ.get("MINGZHENG_SUITES") != "1":
        return
    for marker in MARKERS:
        counts, seconds = {"passed": 0, "failed": 0, "skipped": 0}, 0.0
        for outcome, reports in terminalreporter.stats.items():
            of_marker = [one for one in reports if isinstance(one, pytest.TestReport) and marker in one.keywords]
            seconds += sum(one.duration for one in of_marker)
            name = "failed" if outcome == "error" else outcome
            if name in counts:
                counts[name] += len(of_marker)
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        terminalreporter.write_line(f"suite {marker}: {told}, {seconds:.0f} s")
