"""The program: `swaptrace`, or `python -m swaptrace` where the command is not installed."""

from __future__ import annotations

import gc
import sys
from typing import Final

from swaptrace.terminal.interruption import leave_at_once

YOUNG: Final = 50_000
"""So many values more, and Python looks for garbage: of those of imports, which stay, none is."""


def main() -> None:
    """Run the command line; what interrupts it while it is still being imported ends it without a
    word, as it does later."""
    leave_at_once()
    gc.set_threshold(YOUNG)
    from swaptrace.cli import main as program

    try:
        program(prog_name="swaptrace")
    finally:
        # CPython remembers a KeyboardInterrupt that ended the exec() of a string, as making a named
        # tuple is one, and with `-m` dies of SIGINT in the end although it was caught.
        exec("")


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Python looks for modules in the current directory first; whose that is nobody knows.
        del sys.path[0]
    main()
