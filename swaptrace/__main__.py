"""`python -m swaptrace`, for where the command is not installed."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Python looks for modules in the current directory first; whose that is nobody knows.
        del sys.path[0]
    from swaptrace.cli import main

    main(prog_name="swaptrace")
