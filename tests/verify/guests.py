"""Kernel images, modules and an emulator, none of them real, for the tests of `--kernel`."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

RELEASE = "6.12.1-test"


def image(path: Path, release: str = RELEASE) -> Path:
    """A file with the header of a bzImage."""
    data = bytearray(0x1000)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x400)
    version = f"{release} (nobody@nowhere) #1 SMP\0".encode()
    data[0x600 : 0x600 + len(version)] = version
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def module(depends: str = "", release: str = RELEASE) -> bytes:
    """As much of a module as is read."""
    information = (f"depends={depends}", "retpoline=Y", f"vermagic={release} SMP mod_unload ")
    return b"\x7fELF\0" + b"".join(line.encode() + b"\0" for line in information)


def script(path: Path, text: str) -> Path:
    """A program for the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
