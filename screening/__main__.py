"""`python -m screening` is the `screening` command."""

from .cli import main

if __name__ == "__main__":
    main()
