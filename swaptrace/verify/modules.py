"""The modules that a guest needs, in the order in which they can be loaded."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable

WANTED: Final = (
    *("lzo", "lzo_rle", "lz4", "zstd"),
    *("zbud", "z3fold", "zsmalloc", "zram"),
    *("virtio_pci", "virtio_blk"),
)
"""What swap on zram, in zswap and on a disk needs, as far as it is not built in: compressors,
which the kernel asks for by an alias, allocators, and the disk."""

SUFFIXES: Final = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")


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
    """The module itself, whatever it is compressed with."""
    try:
        data = path.read_bytes()
        if path.name.endswith(".xz"):
            return lzma.decompress(data)
        if path.name.endswith(".gz"):
            return gzip.decompress(data)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SwaptraceError(f"{printable(str(path))}: {printable(str(error))}") from error
    return _unzstd(path) if path.name.endswith(".zst") else data


def _unzstd(path: Path) -> bytes:
    if shutil.which("zstd") is None:
        where = printable(str(path))
        raise SwaptraceError(f"{where}: zstd is needed to read it (Debian: apt install zstd)")
    done = subprocess.run(["zstd", "-dc", path], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise SwaptraceError(f"{printable(str(path))}: {printable(reason)}")
    return done.stdout
