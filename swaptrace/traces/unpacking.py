"""What gzip and xz compressed, in bounded memory: pieces as they are asked for, and no dictionary
larger than any usual one, whatever a file's header asks for."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

XZ_MEMORY: Final = 128 << 20
"""Bytes that xz may take; `xz -9` makes what takes half of it."""

PIECE: Final = 1 << 16
"""How many compressed bytes are read at a time."""

DAMAGED: Final = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
"""What reading may raise for damaged data."""

GZIP_BEGINS: Final = b"\x1f\x8b"
XZ_BEGINS: Final = b"\xfd7zXZ\0"


def from_gzip(file: BinaryIO) -> io.BufferedIOBase:
    """The bytes that gzip compressed. Reading raises one of `DAMAGED`."""
    return gzip.GzipFile(fileobj=file)


def from_xz(file: BinaryIO) -> io.BufferedIOBase:
    """The bytes that xz compressed. Reading raises one of `DAMAGED`."""
    return io.BufferedReader(_Xz(file))


class _Xz(io.RawIOBase):
    """Streams of xz one after another, with zeroes between or not, as one."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file
        self.stream = self.begun()
        self.waiting = b""  # what was read and not yet given to the stream

    @staticmethod
    def begun() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = b""
        while not data:
            if self.stream.eof and not self.next_stream():
                return 0
            if self.stream.needs_input and not self.waiting:
                self.waiting = self.file.read(PIECE)
                if not self.waiting:
                    raise EOFError("it ends within a stream")
            data = self.stream.decompress(self.waiting, len(view))
            self.waiting = b""
        view[: len(data)] = data
        return len(data)

    def next_stream(self) -> bool:
        """Begin the next stream; False if there is none."""
        self.waiting = self.stream.unused_data.lstrip(b"\0")
        while not self.waiting:
            piece = self.file.read(PIECE)
            if not piece:
                return False
            self.waiting = piece.lstrip(b"\0")
        self.stream = self.begun()
        return True
