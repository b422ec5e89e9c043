"""Writing trace files, chunk by chunk; a file is there only when it is whole."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import numpy as np

from swaptrace.terminal.atomic import making
from swaptrace.terminal.files import reason
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.columns import TraceError, shown

KINDS: Final = {
    "page": np.dtype(np.uint32),
    "write": np.dtype(np.bool_),
    "region": np.dtype(np.uint16),
    "process": np.dtype(np.uint16),
}


DIGITS: Final = 16
"""Of the SHA-256 of a trace, how many a name of `content_named` has."""


class TraceWriter:
    """Writes an .npz, in bounded memory: the columns go to files without a name beside it first.

    `regions` and `processes` are the names that the chunks' numbers mean; without names there is no
    such column. The file appears at the end of the context, unless it ends with an exception. It is
    `path`, or, `content_named`, has `-` and the first digits of its SHA-256 behind the stem: `path`
    then is what it is called. `is_new` says whether there was none of that name. Raises
    `TraceError` where it cannot be written.
    """

    def __init__(
        self,
        path: str,
        regions: Sequence[str] = (),
        processes: Sequence[str] = (),
        *,
        content_named: bool = False,
    ) -> None:
        self.path = Path(path)
        self.content_named = content_named
        self.is_new = False
        self.names = {"regions": list(regions), "processes": list(processes)}
        self.count = 0
        self.columns: dict[str, IO[bytes]] = {}

    def __enter__(self) -> TraceWriter:
        with_names = {"region": self.names["regions"], "process": self.names["processes"]}
        for name in KINDS:
            if with_names.get(name, True):
                self.columns[name] = self.beside()
        return self

    def beside(self) -> IO[bytes]:
        """A file without a name on the same file system."""
        try:
            return tempfile.TemporaryFile(dir=self.path.parent)
        except OSError as error:
            raise self.wrong(error) from error

    def wrong(self, error: OSError) -> TraceError:
        """The error of this file."""
        return TraceError(f"{shown(str(self.path))}: cannot be written ({reason(error)})")

    def write(self, chunk: Chunk) -> None:
        """Some accesses more."""
        count = len(chunk.page)
        for name, file in self.columns.items():
            values = getattr(chunk, name)
            column = np.zeros(count, KINDS[name]) if values is None else values
            try:
                file.write(np.ascontiguousarray(column, KINDS[name]).tobytes())
            except OSError as error:
                raise self.wrong(error) from error
        self.count += count

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
        except OSError as unwritable:
            raise self.wrong(unwritable) from unwritable
        finally:
            for file in self.columns.values():
                with suppress(OSError):  # what is still in a buffer of a full disk is not wanted
                    file.close()

    def finish(self) -> None:
        """Make one file of the columns."""
        with making(self.path) as made:
            with zipfile.ZipFile(made.file, "w") as archive:
                self.put_all(archive)
            if self.content_named:
                made.file.seek(0)
                digest = hashlib.file_digest(made.file, "sha256").hexdigest()[:DIGITS]
                self.path = self.path.with_name(f"{self.path.stem}-{digest}{self.path.suffix}")
            self.is_new = not self.path.exists()
            made.publish(self.path)

    def put_all(self, archive: zipfile.ZipFile) -> None:
        for name, file in self.columns.items():
            with archive.open(member_of(name), "w", force_zip64=True) as member:
                header = {
                    "descr": np.lib.format.dtype_to_descr(KINDS[name]),
                    "fortran_order": False,
                    "shape": (self.count,),
                }
                np.lib.format.write_array_header_1_0(member, header)
                file.seek(0)
                shutil.copyfileobj(file, member, 1 << 20)
        for name, names in self.names.items():
            if names:
                with archive.open(member_of(name), "w") as member:
                    np.lib.format.write_array(member, np.array(names), allow_pickle=False)


def member_of(column: str) -> zipfile.ZipInfo:
    """A member of the zip file, with the same date whenever it is written."""
    return zipfile.ZipInfo(f"{column}.npy")
