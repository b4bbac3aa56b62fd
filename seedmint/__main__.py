"""Runs the command line: `python -m seedmint`."""

from seedmint.cli import main

if __name__ == "__main__":
    main()
