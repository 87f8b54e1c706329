"""`python -m mingzheng` is the command `mingzheng`."""

from mingzheng.cli import main

if __name__ == "__main__":
    main()
