"""`python -m screening` is the `screening` command."""

from .cli.main import main

if __name__ == "__main__":
    main()
