"""An initramfs: a cpio archive in the format `newc` (Documentation/driver-api/early-userspace/
buffer-format.rst), the same for the same content."""

from __future__ import annotations

from typing import BinaryIO, Final

MAGIC: Final = b"070701"
FILE: Final = 0o100000
DIRECTORY: Final = 0o040000
TRAILER: Final = "TRAILER!!!"
ALIGNMENT: Final = 4


class Initramfs:
    """An archive that is written as files are added to it; `size` is how far it has grown."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self._entries = 0

    def directory(self, name: str) -> None:
        """A directory, before what is in it. Names are relative to the root."""
        self._add(name, DIRECTORY | 0o755, b"")

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """A file of root's."""
        self._add(name, FILE | (0o755 if executable else 0o644), data)

    def close(self) -> None:
        """Write the end of the archive."""
        self._add(TRAILER, 0, b"")
        self._file.flush()

    def _add(self, name: str, mode: int, data: bytes) -> None:
        """An entry: the header in hexadecimal digits, the name and the data, each padded."""
        self._entries += 1
        encoded = name.encode() + b"\0"
        links = 2 if mode & DIRECTORY else 1
        fields = (
            *(self._entries, mode, 0, 0, links, 0, len(data)),  # inode … time of change, size
            *(0, 0, 0, 0, len(encoded), 0),  # devices, length of the name, no checksum
        )
        self._write(MAGIC + b"".join(b"%08X" % value for value in fields) + encoded)
        self._write(data)

    def _write(self, data: bytes) -> None:
        padding = -len(data) % ALIGNMENT
        self._file.write(data + b"\0" * padding)
        self.size += len(data) + padding
