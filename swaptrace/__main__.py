"""`python -m swaptrace`, for where the command is not installed."""

from swaptrace.cli import main

if __name__ == "__main__":
    main(prog_name="swaptrace")
