"""``python -m eomsym`` is the command ``eomsym``."""

from eomsym.cli import main

if __name__ == "__main__":
    main(prog_name="eomsym")
