"""`python -m specseg.cli` is the command `specseg`."""

from specseg.cli import main

if __name__ == "__main__":
    main()
