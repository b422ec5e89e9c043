"""The exit codes of the program, of every command."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command found, in a number; `docs/reference.md` has the same table."""

    OK = 0
    """All well."""

    FAILED = 1
    """An expectation, `--fail-on` or a verification failed, or a difference was found."""

    WRONG = 2
    """The input, the command line or the environment is wrong."""

    UNDECIDED = 3
    """Nothing was found, and nothing shows that there is nothing."""

    SKIPPED = 4
    """`verify` skipped everything, as in kselftest."""

    INTERRUPTED = 130
    """As a shell reports a program that SIGINT ended."""


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.WRONG,
    ExitCode.FAILED,
    ExitCode.UNDECIDED,
    ExitCode.SKIPPED,
    ExitCode.OK,
)


def foremost(codes: Iterable[ExitCode]) -> ExitCode:
    """The code of a command of which several apply; without any, all is well."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)
