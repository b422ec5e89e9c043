"""The one way to write a file for the user: it is there as a whole, or as it was before.

A file is made without a name (O_TMPFILE) and gets one when it is whole, so that whatever kills the
program leaves nothing behind. Where the file system has no such files, it is made beside its place
under a name that nobody can foretell.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from typing import TYPE_CHECKING, Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable
from swaptrace.terminal.files import path_of, reason

if TYPE_CHECKING:
    from pathlib import Path

KEPT_MODE: Final = 0o777
"""What a file that replaces another keeps of its mode: not set-uid, set-gid or sticky, which were
given to another content and perhaps another owner."""

LONGEST_STEM: Final = 40
"""How much of its name the temporary name of a file repeats."""

UNSUPPORTED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
"""What open() with O_TMPFILE gives where the file system or the kernel does not know it."""


class Made(NamedTuple):
    """A file in the making: `beside` is the name that it has for now, None if it has none."""

    file: BufferedRandom
    beside: Path | None

    def publish(self, target: Path) -> None:
        """Give the file, as it is now, the name of the target, over what has it.

        It keeps the permissions of what it replaces. Raises `OSError`.
        """
        self.file.flush()
        with suppress(FileNotFoundError):
            os.fchmod(self.file.fileno(), os.stat(target).st_mode & KEPT_MODE)
        beside = self.beside or self._named(target)
        if beside != target:
            try:
                os.replace(beside, target)
            except BaseException:
                with suppress(OSError):
                    beside.unlink()
                raise

    def _named(self, target: Path) -> Path:
        """A name for a file that has none: the target, or one beside it if that is taken."""
        for name in (target, *(_beside(target) for _ in range(10))):
            with suppress(FileExistsError):
                # Only with a descriptor link() becomes linkat(), which follows the symbolic link.
                source = f"/proc/self/fd/{self.file.fileno()}"
                os.link(source, name, src_dir_fd=self.file.fileno(), follow_symlinks=True)
                return name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name[:LONGEST_STEM]}.{os.urandom(8).hex()}.tmp")


@contextmanager
def making(target: Path) -> Iterator[Made]:
    """A new file for the place of the target; it is gone afterwards unless it was published.

    Raises `OSError`.
    """
    descriptor, beside = _without_name(target.parent), None
    if descriptor is None:
        beside = _beside(target)
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC
        descriptor = os.open(beside, flags, 0o666)
    made = Made(os.fdopen(descriptor, "w+b"), beside)
    try:
        with made.file:
            yield made
    finally:
        if beside is not None:
            with suppress(FileNotFoundError):
                beside.unlink()


def _without_name(directory: Path) -> int | None:
    """The descriptor of a file without a name; None where there are none, or none can be named."""
    if not os.path.exists("/proc/self/fd"):
        return None
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole. Raises `SwaptraceError` that names it.

    A symbolic link stays one; what is no regular file, such as a device, is written to directly.
    """
    check_writable(path)
    data = content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
    try:
        if _is_special(path):
            path.write_bytes(data)
        else:
            target = path_of(os.path.realpath(path))
            with making(target) as made:
                made.file.write(data)
                made.publish(target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(str(path), error) from error


def check_writable(path: Path, option: str = "--output") -> None:
    """Find out before the work whether its result can be written to the path of an option."""
    try:
        against = _reason_against(path)
    except OSError as error:
        raise cannot_write(str(path), error) from error
    if against:
        raise SwaptraceError(f"{option} {printable(str(path))}: {printable(against)}")


def _reason_against(path: Path) -> str | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(path)  # of a loop of symbolic links or a name that is too long nothing else is said
    directory = path_of(os.path.realpath(path)).parent
    if path.is_dir():
        return "is a directory; name a file in it"
    if not _is_special(path) and not directory.is_dir():
        return f"there is no directory {directory}"
    needed = [directory] if not path.exists() else [path]
    if path.is_file():
        needed.append(directory)
    if not all(os.access(place, os.W_OK) for place in needed):
        return "no permission to write there"
    return None


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def cannot_write(where: str, error: OSError) -> SwaptraceError:
    """The error of a place that cannot be written to."""
    return SwaptraceError(f"cannot write to {printable(where)}: {reason(error)}")
