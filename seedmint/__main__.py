"""`python -m seedmint` runs the command line."""

from seedmint.cli import main

if __name__ == "__main__":
    main()
