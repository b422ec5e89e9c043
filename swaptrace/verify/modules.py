"""The modules that a guest needs, in the order in which they can be loaded."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import BinaryIO, Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable
from swaptrace.terminal.files import opened
from swaptrace.traces.unpacking import from_xz
from swaptrace.verify.children import running

WANTED: Final = (
    *("lzo", "lzo_rle", "lz4", "zstd"),
    *("zbud", "z3fold", "zsmalloc", "zram"),
    *("virtio_pci", "virtio_blk"),
)
"""What swap on zram, in zswap and on a disk needs, as far as it is not built in: compressors,
which the kernel asks for by an alias, allocators, and the disk."""

SUFFIXES: Final = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")

MOST: Final = 64 << 20
"""Bytes of a module. The largest of a distribution have a tenth of that."""


class Module(NamedTuple):
    """A module by its name in the kernel, decompressed."""

    name: str
    data: bytes


def modules(directory: Path, version: str) -> tuple[Module, ...]:
    """Those of `WANTED` that are in a directory, after what they depend on.

    Raises `SwaptraceError` for one that cannot be read, that needs one that is not there, or
    that is of another kernel than the one of that version.
    """
    files = {_name(path): path for path in sorted(directory.rglob("*.ko*")) if _name(path)}
    if not files:
        raise SwaptraceError(f"{printable(str(directory))}: there are no modules (*.ko) in it")
    order = _Order(files, version)
    for name in WANTED:
        if name in files:
            order.add(name)
    return tuple(order.found.values())


def _name(path: Path) -> str:
    """Of the module in a file, where `-` and `_` are the same; empty if it is none."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
    return "" if suffix is None else path.name.removesuffix(suffix).replace("-", "_")


@dataclass
class _Order:
    """Modules, each after those that it depends on."""

    files: dict[str, Path]
    version: str
    found: dict[str, Module] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """What it depends on, then the module."""
        if name in self.found:
            return
        path = self.files[name]
        data = read_module(path)
        information = dict(modinfo(data))
        of = information.get("vermagic", "").split(" ", 1)[0]
        if of != self.version:
            raise SwaptraceError(
                f"{printable(str(path))}: it is of kernel {printable(of)}, and the image is "
                f"{printable(self.version)}"
            )
        for needed in filter(None, information.get("depends", "").split(",")):
            if needed.replace("-", "_") not in self.files:
                where = printable(str(path))
                raise SwaptraceError(f"{where}: it needs {printable(needed)}, which is not there")
            self.add(needed.replace("-", "_"))
        self.found[name] = Module(name, data)


def modinfo(data: bytes) -> Iterator[tuple[str, str]]:
    """What a module says of itself that matters here: `depends` and `vermagic`.

    They are strings that end with a zero byte, each behind another one (section .modinfo).
    """
    for key in (b"depends", b"vermagic"):
        start = data.find(b"\0" + key + b"=")
        if start >= 0:
            text = data[start + 1 :].split(b"\0", 1)[0]
            yield key.decode(), text.split(b"=", 1)[1].decode("ascii", errors="replace")


def read_module(path: Path) -> bytes:
    """The module itself, whatever it is compressed with; of at most `MOST` bytes."""
    where = printable(str(path))
    try:
        with io.BufferedReader(opened(path)) as file:
            data = READERS.get(path.suffix, _plain)(file, MOST + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SwaptraceError(f"{where}: {printable(str(error))}") from error
    if len(data) > MOST:
        raise SwaptraceError(f"{where}: it has more than {MOST >> 20} MiB, as no module has")
    return data


def _plain(file: BinaryIO, most: int) -> bytes:
    return file.read(most)


def _unxz(file: BinaryIO, most: int) -> bytes:
    return from_xz(file).read(most)


def _gunzip(file: BinaryIO, most: int) -> bytes:
    return gzip.open(file).read(most)


def _unzstd(file: BinaryIO, most: int) -> bytes:
    """No more of it than is asked for. Raises `OSError` as zstd says."""
    if shutil.which("zstd") is None:
        raise OSError("zstd is needed to read it (Debian: apt install zstd)")
    with (
        tempfile.TemporaryFile() as errors,
        running(["zstd", "-dc"], stdin=file, stdout=PIPE, stderr=errors) as process,
    ):
        data = bytearray()
        for piece in process.output():
            data += piece
            if len(data) >= most:
                return bytes(data)
        process.end()
        if process.code:
            errors.seek(0)
            raise OSError(errors.read().decode(errors="replace").strip())
        return bytes(data)


Reader = Callable[[BinaryIO, int], bytes]
READERS: Final[dict[str, Reader]] = {".xz": _unxz, ".gz": _gunzip, ".zst": _unzstd}
"""How a file with this suffix is read, up to so many bytes; one with another as it is."""
