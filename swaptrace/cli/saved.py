"""Reading saved files."""

from __future__ import annotations

from pathlib import Path

from swaptrace.errors import SwaptraceError, printable


def read_text(path: str) -> str:
    """The text of a file. Raises `SwaptraceError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SwaptraceError(f"{printable(path)}: is not UTF-8 text") from None
    except OSError as error:
        message = f"{printable(path)}: cannot be read: {error.strerror or error}"
        raise SwaptraceError(message) from None
