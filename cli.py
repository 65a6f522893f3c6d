"""`python cli.py …` from a checkout does what the installed `edgeres` command does."""

from edgeres.console import main

if __name__ == "__main__":
    main()
