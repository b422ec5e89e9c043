"""Reading the files of a tree and of patches: regular files only, and no more than a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swaptrace.errors import PolicyError, printable
from swaptrace.terminal.files import read_at_most, reason

MEBIBYTE = 1024 * 1024


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes. Raises `PolicyError`."""
    shown = printable(str(path))
    try:
        data = read_at_most(path, most)
    except OSError as error:
        raise PolicyError(f"{shown}: cannot be read: {reason(error)}") from None
    if len(data) > most:
        size = f"{most // MEBIBYTE} MiB" if most >= MEBIBYTE else f"{most // 1024} KiB"
        raise PolicyError(f"{shown}: larger than {size}")
    return data


def is_plain(root: Path, path: str) -> bool:
    """Whether the path leads from `root` to a regular file without a symbolic link on its way."""
    place = root
    for part in path.split("/"):
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except (OSError, ValueError):
            return False
        if stat.S_ISLNK(mode):
            return False
    return stat.S_ISREG(mode)
