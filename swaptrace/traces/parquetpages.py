"""What the pages of a Parquet file take when they are decompressed, before they are.

pyarrow believes what a page's header says, and a file of some hundred bytes can say gigabytes. The
headers are structs of Thrift's compact protocol (parquet.thrift of apache/parquet-format, and
doc/specs/thrift-compact-protocol.md of apache/thrift); of their fields only numbers matter here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple, Union

LONGEST_HEADER: Final = 1 << 16
MAX_DEPTH: Final = 8
MOST_DIGITS: Final = 10
"""Bytes of a variable-length number of 64 bits."""

DICTIONARY_PAGE: Final = 2

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS: Final = (4, 5, 6)

TYPE, UNCOMPRESSED, COMPRESSED, DATA, DICTIONARY, DATA_V2 = 1, 2, 3, 5, 7, 8
"""Fields of a PageHeader; the latter three are the structs of a kind of page."""

ROW_GROUPS, COLUMNS, METADATA = 4, 1, 3
"""Of FileMetaData, RowGroup and ColumnChunk."""

PATH, NUM_VALUES, TOTAL_COMPRESSED, DATA_PAGE, DICTIONARY_AT = 3, 5, 7, 9, 11
"""Of ColumnMetaData."""

TAIL: Final = 8
"""Bytes behind the description at a file's end: its length, and PAR1."""

LONGEST_FOOTER: Final = 4 << 20

VALUES: Final = 1
"""The field of each of these with the number of values."""

ENCODING: Final = {DATA: 2, DICTIONARY: 2, DATA_V2: 4}


class MalformedPage(ValueError):
    """What is no page header."""


class ParquetPage(NamedTuple):
    """A page: how many values it has, how they are encoded, and what it takes decompressed."""

    is_dictionary: bool
    values: int
    encoding: int
    size: int


class ColumnChunk(NamedTuple):
    """A column of a group of rows: its name, and where its pages begin and how many bytes they
    have."""

    column: str
    start: int
    size: int


Value = Union[int, bytes, "Fields", list["Value"], None]
Fields = dict[int, Value]


class _Compact:
    """Reads a struct of Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise MalformedPage("a page header has no end")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """A number of seven bits a byte, the lowest first."""
        value = 0
        for place in range(MOST_DIGITS):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise MalformedPage("a page header has a number that is too long")

    def signed(self) -> int:
        """A number whose lowest bit is the sign (zigzag)."""
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise MalformedPage("a page header has no end")
        self.at += count

    def struct(self, depth: int = 0) -> Fields:
        """The fields of a struct."""
        if depth > MAX_DEPTH:
            raise MalformedPage("a page header is nested too deeply")
        found: Fields = {}
        field = 0
        while (head := self.byte()) != STOP:
            field = field + (head >> 4) if head >> 4 else self.signed()
            value = self.value(head & 0xF, depth)
            if value is not None:
                found[field] = value
        return found

    def value(self, kind: int, depth: int) -> Value:
        """A value of a field; None of what is skipped."""
        if kind in INTEGERS:
            return self.signed()
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            return self.list(depth + 1)
        if kind == BINARY:
            count = self.number()
            self.skip(count)
            return self.data[self.at - count : self.at]
        if kind == BYTE:
            self.skip(1)
        elif kind == DOUBLE:
            self.skip(8)
        elif kind not in (TRUE, FALSE):
            raise MalformedPage("it has a field of a kind that there is not")
        return None

    def list(self, depth: int) -> Value:
        """Values one after another."""
        head = self.byte()
        count = head >> 4 if head >> 4 < 15 else self.number()
        if depth > MAX_DEPTH or count > len(self.data) - self.at:
            raise MalformedPage("a list of it has no end")
        kind = head & 0xF
        if kind in (TRUE, FALSE):
            self.skip(count)
            return None
        return [self.value(kind, depth) for _ in range(count)]


def chunks(file: BinaryIO) -> Iterator[ColumnChunk]:
    """The columns of every group of rows that has any, as the end of the file says.

    pyarrow's own objects for them end the program where the end is damaged. Raises `MalformedPage`.
    """
    end = file.seek(-TAIL, os.SEEK_END)
    size = int.from_bytes(file.read(4), "little")
    if size > min(end, LONGEST_FOOTER):
        raise MalformedPage(f"the description at its end has {size} bytes")
    file.seek(end - size)
    for group in _structs(_Compact(file.read(size)).struct().get(ROW_GROUPS)):
        for column in _structs(group.get(COLUMNS)):
            found = column.get(METADATA)
            if not isinstance(found, dict):
                raise MalformedPage("the description at its end lacks a column's")
            if _number(found, NUM_VALUES):
                yield _chunk(found)


def _chunk(found: Fields) -> ColumnChunk:
    names = found.get(PATH)
    if not isinstance(names, list):
        raise MalformedPage("a column has no name")
    name = b".".join(each for each in names if isinstance(each, bytes))
    start, first = _number(found, DATA_PAGE), found.get(DICTIONARY_AT)
    if isinstance(first, int) and 0 < first < start:
        start = first
    return ColumnChunk(name.decode("utf-8", "replace"), start, _number(found, TOTAL_COMPRESSED))


def _structs(value: Value) -> Iterator[Fields]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each


def pages(file: BinaryIO, start: int, size: int) -> Iterator[ParquetPage]:
    """The pages of a column chunk that begins at a byte of the file and has so many.

    Raises `MalformedPage`.
    """
    end = start + size
    while start < end:
        file.seek(start)
        reader = _Compact(file.read(min(LONGEST_HEADER, end - start)))
        header = reader.struct()
        yield _page(header)
        start += reader.at + _number(header, COMPRESSED)


def _page(header: Fields) -> ParquetPage:
    kind = next((kind for kind in ENCODING if kind in header), None)
    inner = header[kind] if kind is not None else {}
    if kind is None or not isinstance(inner, dict):
        raise MalformedPage("a page is neither of data nor a dictionary")
    is_dictionary = _number(header, TYPE) == DICTIONARY_PAGE
    if is_dictionary != (kind == DICTIONARY):
        raise MalformedPage("a page header is not that of its kind of page")
    values, encoding = _number(inner, VALUES), _number(inner, ENCODING[kind])
    return ParquetPage(is_dictionary, values, encoding, _number(header, UNCOMPRESSED))


def _number(fields: Fields, field: int) -> int:
    value = fields.get(field)
    if not isinstance(value, int) or value < 0:
        raise MalformedPage("a page header lacks a number, or has a wrong one")
    return value
