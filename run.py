#!/usr/bin/env python3
"""Two commands for a fresh clone, standard library only.

    python3 run.py demo [options of `mingzheng demo`]
    python3 run.py test [options of pytest]

They make `.venv` from the hashed lock `requirements/test.lock` (binary wheels only; no compiler, no root), put this
checkout into it, and run the demo or the tests. A second run needs no network. This file must at least start on old
Pythons, so that it can say which one is needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
LOCK = os.path.join(HERE, "requirements", "test.lock")
STAMP = os.path.join(VENV, "mingzheng-stamp.txt")
MINIMUM = (3, 11)
FREE_BYTES = 700 * 1024 * 1024


def say(zh, en):
    """Print one line in each language to standard error and flush it."""
    stream = getattr(sys.stderr, "buffer", None)
    text = "{}\n{}\n".format(zh, en)
    if stream is None:
        sys.stderr.write(text)
    else:
        sys.stderr.flush()
        stream.write(text.encode("utf-8"))
        stream.flush()


def stop(zh, en):
    """Say why this cannot go on, and leave with exit status 4."""
    say("✗ " + zh, "  " + en)
    raise SystemExit(4)


def check_version():
    if sys.version_info < MINIMUM:
        stop(
            "需要 Python 3.11 或更新版本，当前是 {}.{}。请安装后用它运行 run.py。".format(*sys.version_info[:2]),
            "Python 3.11 or newer is needed, this is {}.{}. Install one and run run.py with it.".format(
                *sys.version_info[:2]
            ),
        )


def check_modules():
    try:
        import ensurepip
        import venv
    except ImportError:
        stop(
            "这个 Python 缺少 venv 或 ensurepip 模块。Debian/Ubuntu 请安装 python3-venv 软件包。",
            "This Python has no venv or ensurepip module. On Debian or Ubuntu install the package python3-venv.",
        )
    try:
        import ssl
    except ImportError as error:
        stop(
            "这个 Python 的 ssl 模块不能用，无法下载依赖（{}）。请换一个完整的 Python。".format(error),
            "The ssl module of this Python does not work: nothing can be downloaded. Use a complete Python.",
        )
    assert ensurepip
    assert venv
    assert ssl


def check_disk():
    free = shutil.disk_usage(HERE).free
    if free < FREE_BYTES:
        stop(
            "磁盘空间不足：需要约 700 MB，剩余 {} MB。".format(free // 2**20),
            "Not enough disk space: about 700 MB are needed, {} MB are free.".format(free // 2**20),
        )
    if not os.access(HERE, os.W_OK):
        stop("没有权限在此目录写入：请换一个目录克隆。", "This directory is not writable: clone into another one.")


def venv_python():
    if os.name == "nt":
        return os.path.join(VENV, "Scripts", "python.exe")
    return os.path.join(VENV, "bin", "python")


def stamp_text():
    digest = hashlib.sha256()
    for name in (LOCK, os.path.join(HERE, "pyproject.toml")):
        with open(name, "rb") as stream:
            digest.update(stream.read())
    return "{}\n{}\n{}\n".format(digest.hexdigest(), sys.version.split()[0], HERE)


def is_ready():
    try:
        with open(STAMP, encoding="utf-8") as stream:
            return stream.read() == stamp_text() and os.path.exists(venv_python())
    except (OSError, ValueError):
        return False


def pip(arguments, zh, en):
    """Run pip in the environment; on failure show its last lines and stop with the given hint."""
    command = [venv_python(), "-m", "pip", "--disable-pip-version-check", "--no-input"] + arguments
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=HERE, env=environment())
    if done.returncode != 0:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        retries = [line for line in lines if "Retrying (Retry(" in line]
        tail = retries[-1:] + [line for line in lines if line not in retries][-10:]
        say("\n".join("  pip: " + line[:240] for line in tail), "")
        shutil.rmtree(VENV, ignore_errors=True)
        stop(zh, en)


def environment():
    env = dict(os.environ)
    env["PYTHONUTF8"] = "1"
    env.pop("PYTHONPATH", None)
    env.pop("PYTHONHOME", None)
    return env


def prepare():
    check_version()
    if is_ready():
        return
    check_modules()
    check_disk()
    say("① 建立虚拟环境 .venv …", "   Making the environment .venv …")
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        stop(
            "无法建立虚拟环境（Debian/Ubuntu 请安装 python3-venv）：" + made.stdout.decode("utf-8", "replace")[-300:],
            "The environment could not be made (on Debian or Ubuntu install python3-venv).",
        )
    say(
        "② 按带哈希的锁定文件安装依赖（仅二进制包，需要网络，约 40 MB）…",
        "   Installing what the hashed lock lists (binary wheels only; needs the network, about 40 MB) …",
    )
    pip(
        ["install", "--quiet", "--only-binary", ":all:", "--require-hashes", "-r", LOCK],
        "依赖安装失败。首次运行需要网络（之后不再需要）；请检查网络、代理或磁盘后重试。",
        "Installing failed. Only the first run needs the network; check network, proxy and disk, then try again.",
    )
    say("③ 安装本项目 …", "   Installing this checkout …")
    pip(
        ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--editable", HERE],
        "安装本项目失败。",
        "Installing this checkout failed.",
    )
    with open(STAMP, "w", encoding="utf-8") as stream:
        stream.write(stamp_text())


def main():
    commands = {"demo": ["-m", "mingzheng", "demo"], "test": ["-m", "pytest", "-q", "-n", "auto"]}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        say("用法：python3 run.py demo | test [选项]", "Usage: python3 run.py demo | test [options]")
        raise SystemExit(2)
    prepare()
    command = [venv_python()] + commands[sys.argv[1]] + sys.argv[2:]
    try:
        done = subprocess.run(command, cwd=HERE if sys.argv[1] == "test" else None, env=environment())
    except KeyboardInterrupt:
        raise SystemExit(130)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
