"""`python -m mingzheng` and the command `mingzheng`: an interruption while modules are loaded ends quietly, too."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command and run it."""
    try:
        from mingzheng.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run the same command again to go on.\n")  # streams may not be UTF-8 yet
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
