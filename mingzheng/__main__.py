"""`python -m mingzheng` and the command `mingzheng`: an interruption while modules are loaded ends quietly, too."""

import sys
from typing import NoReturn

INTERRUPTED = "已中断；再运行一次同样的命令即可继续。 Interrupted; run the same command again to go on.\n"


def main() -> NoReturn:
    """Load the command and run it."""
    try:
        from mingzheng.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.buffer.write(INTERRUPTED.encode())  # no stream is made UTF-8 yet
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
