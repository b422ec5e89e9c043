"""Accesses as text with commas: a header, then `address,write` or `page,write`.

An address is in bytes, a page a number from 0 on; `write` is 1 for a store, 0 for a load. Numbers
are decimal, or hexadecimal with 0x. The pages of `page` are those of one region; addresses are
sorted into regions as those of any log.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from swaptrace.errors import did_you_mean, quote
from swaptrace.importers.accesses import MOST_PAGES, PAGE_SHIFT, Accesses, Pages
from swaptrace.importers.lines import LineBlock

COLUMNS: Final = ("address", "page", "write")
FIRST: Final = (2 << 20) >> PAGE_SHIFT
"""Where the region of numbered pages begins."""

LIMIT: Final = 1 << 63
NUMBER: Final = re.compile(rb"0x[0-9a-f]{1,16}|[0-9]{1,19}")


class Parser:
    """Reads the header once, then rows. `most` is the highest page, of numbered ones."""

    def __init__(self) -> None:
        self.header: list[str] = []
        self.most = -1

    def parse(self, block: LineBlock) -> Accesses:
        """The accesses of a block. Raises `LogError` for a row that is none."""
        text = block.lines[1:].tobytes().replace(b"\r\n", b"\n")
        first = block.line
        if not self.header:
            line, _, text = text.partition(b"\n")
            self.header = self.columns(block, line)
            first += 1
        if not text:
            return Accesses(np.zeros(0, np.uint64), np.zeros(0, np.bool_))
        values = decimal(text, len(self.header))
        if values is None:
            values = self.rows(block, text, first)
        write = values[:, self.header.index("write")]
        if (write > 1).any():
            row = int(np.argmax(write > 1))
            raise self.wrong(block, first + row, f"write is {write[row]}; it is 0 or 1")
        if "page" in self.header:
            page = values[:, self.header.index("page")]
            if (page >= MOST_PAGES).any():
                row = int(np.argmax(page >= MOST_PAGES))
                most = f"the pages of a region are numbered from 0 to {MOST_PAGES - 1}"
                raise self.wrong(block, first + row, f"page is {page[row]}; {most}")
        return Accesses(self.pages(values), write.astype(np.bool_))

    def columns(self, block: LineBlock, line: bytes) -> list[str]:
        """The names of the header."""
        names = [name.strip() for name in line.decode("utf-8", "replace").split(",")]
        for name in names:
            if name not in COLUMNS:
                hint = did_you_mean(name, COLUMNS)
                raise self.wrong(block, block.line, f"{quote(name)} is no column; {hint}")
        if sorted(names) not in (["address", "write"], ["page", "write"]):
            raise self.wrong(block, block.line, "the header must be address,write or page,write")
        return names

    def pages(self, values: Pages) -> Pages:
        """The pages of the address space."""
        if "address" in self.header:
            return values[:, self.header.index("address")] >> np.uint64(PAGE_SHIFT)
        page = values[:, self.header.index("page")]
        self.most = max(self.most, int(page.max()))
        return page + np.uint64(FIRST)

    def rows(self, block: LineBlock, text: bytes, first: int) -> Pages:
        """The numbers row by row, of any form; the first row that is wrong is told."""
        found = []
        for number, line in enumerate(text.split(b"\n")[:-1], start=first):
            fields = line.split(b",")
            if len(fields) != len(self.header):
                raise self.wrong(block, number, f"a row has {len(self.header)} fields")
            for name, field in zip(self.header, fields, strict=True):
                found.append(self.number(block, number, name, field))
        return np.array(found, np.uint64).reshape(-1, len(self.header))

    def number(self, block: LineBlock, line: int, name: str, field: bytes) -> int:
        digits = field.strip().lower()
        value = int(digits, 16 if b"x" in digits else 10) if NUMBER.fullmatch(digits) else LIMIT
        if value >= LIMIT:
            shown = quote(field.decode("utf-8", "replace").strip())
            raise self.wrong(block, line, f"{name}: {shown} is no number, as 4096 or 0x1000")
        return value

    @staticmethod
    def wrong(block: LineBlock, number: int, message: str) -> Exception:
        return block.wrong(block.start_of(number), message)


def decimal(text: bytes, columns: int) -> Pages | None:
    """Rows of decimal numbers, all at once; None if they are anything else."""
    lines = text.count(b"\n")
    if text.translate(None, b"0123456789") != (b"," * (columns - 1) + b"\n") * lines:
        return None
    if b",\n" in text or b"\n," in text or text.startswith(b","):
        return None
    values = np.fromstring(text.replace(b"\n", b",")[:-1].decode(), np.float64, sep=",")
    if len(values) != lines * columns or (values >= 1 << 53).any():
        return None
    return values.astype(np.uint64).reshape(-1, columns)
