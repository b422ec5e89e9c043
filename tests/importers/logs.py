"""Logs for the tests of the importers: of real programs, of random lines, and read naively."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from swaptrace.importers import lackey
from swaptrace.importers.accesses import PAGE_SIZE
from swaptrace.importers.lines import LineBlock, blocks, unpacked
from tests.processes import completed

Naive = list[tuple[int, bool]]
"""Pages and whether they are written."""

needs_tools = pytest.mark.skipif(
    not (shutil.which("valgrind") and shutil.which("strace")),
    reason="valgrind and strace are not installed",
)
needs_compiler = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")

LINE = re.compile(rb" ([LSM]) ([0-9a-f]{8,16}),([0-9]{1,3})")


def blocks_of(text: bytes, name: str = "log") -> Iterator[LineBlock]:
    """The blocks of a text, as those of a file."""
    return blocks(unpacked(cast(io.RawIOBase, io.BytesIO(text)), name, lambda _bytes: None), name)


def naive(text: bytes) -> tuple[Naive, list[tuple[bytes, int]]]:
    """What a log of lackey says, line by line: its accesses, and the lines between them with the
    number of accesses before each. Raises `ValueError` for a line that begins as an access."""
    found: Naive = []
    others = []
    for line in text.split(b"\n")[:-1]:
        match = LINE.fullmatch(line)
        if match is not None:
            address, size = int(match[2], 16), int(match[3])
            if size == 0 or address + size >= 1 << 64:
                raise ValueError(line)
            pages = range(address // PAGE_SIZE, (address + size - 1) // PAGE_SIZE + 1)
            found += ((page, match[1] != b"L") for page in pages)
        elif line[:3] in (b" L ", b" S ", b" M "):
            raise ValueError(line)
        elif not line.startswith(b"I"):
            others.append((line, len(found)))
    return found, others


def vectorised(text: bytes) -> tuple[Naive, list[tuple[bytes, int]]]:
    """The same by the importer."""
    found: Naive = []
    others = []
    for block in blocks_of(text):
        parsed = lackey.parse(block)
        others += [(line.text, len(found) + line.position) for line in parsed.others]
        found += zip(parsed.page.tolist(), parsed.write.tolist(), strict=True)
    return found, others


def compiled(source: str, directory: Path, name: str = "program") -> Path:
    """A C program."""
    (directory / f"{name}.c").write_text(source)
    binary = directory / name
    command = ["gcc", "-O1", "-pthread", str(directory / f"{name}.c"), "-o", str(binary)]
    completed(command, check=True)
    return binary


def lines(rows: Iterable[str]) -> bytes:
    """A log of these lines."""
    return "".join(f"{row}\n" for row in rows).encode()


LACKEY = lines(
    [
        "==4711== Lackey, an example Valgrind tool",
        "I  04016b80,3",
        " S 1fff000ffc,8",
        " L 1fff000ff8,8",
        " L 04a2b010,8",
        " M 04a2b010,8",
        " M 04a2b010,8",
    ]
)
"""Five accesses to three pages."""
