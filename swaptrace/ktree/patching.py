"""Patches on files of a tree, applied to their text: the tree is only read, and nothing runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable, quote
from swaptrace.ktree.applying import Effort, Exhausted, Refused, apply
from swaptrace.ktree.cleaned import MAX_BYTES as MAX_SOURCE
from swaptrace.ktree.diff import (
    MAX_BYTES,
    MOST_LINES,
    FileDiff,
    Hunk,
    Patch,
    Patches,
    patches_of,
)
from swaptrace.ktree.mails import is_mail
from swaptrace.ktree.regular import is_plain, read_regular
from swaptrace.ktree.spec import MAKEFILE, MEMORY
from swaptrace.ktree.streaming import condensed
from swaptrace.terminal.files import read_at_most, reason

SUFFIXES: Final = (".patch", ".diff", ".mbox", ".eml")
"""What is taken from a directory of patches, in the order of the names."""

FOLDERS: Final = frozenset({"mm", "include", "arch", "fs", "kernel"})
"""Of a tree, where C of the fault path and what it uses can stand; nothing else of it is read."""

MOST_APPLIED: Final = 2_000
"""Files that all patches together change, each time that they do: what two versions of Linux differ
by in the folders that are looked at is less, as is any series."""

INERT: Final = frozenset({"Documentation", "MAINTAINERS", "CREDITS", "LICENSES", ".mailmap"})
"""What is part of no kernel: no program changes with it."""


class Patched(NamedTuple):
    """`texts` are the files of the tree that the patches change, as they become; `others` those
    that were not looked at; `notes` what else must be said. `unread` are the hunks of others, which
    the tree may lack because it was unpacked in part."""

    texts: dict[str, str]
    others: tuple[str, ...]
    notes: tuple[str, ...]
    unread: tuple[str, ...] = ()


class _Given(NamedTuple):
    """A patch, and the file that it came in, as the user named it."""

    file: str
    patch: Patch


def is_inert(path: str) -> bool:
    """Whether no kernel changes with the file."""
    return path.split("/")[0] in INERT or path.startswith("tools/testing/")


def touched(files: Iterable[str]) -> list[str]:
    """What the patch files may name of a tree, with and without the `a/` before it."""
    names = [
        name
        for file in _listed(files)
        for patch in _read(file).patches
        for diff in patch.files
        if diff.hunks
        for name in (diff.old, diff.new)
    ]
    both = [path for name in names for path in (name, name.partition("/")[2])]
    return [path for path in dict.fromkeys(both) if _is_source(path)][:MOST_APPLIED]


def patched(root: Path, wanted: str, files: Iterable[str], shown: str) -> Patched:
    """What the files of the tree become with the patch files applied.

    Every file of C that they touch and the tree has must take its hunks; one that the tree does not
    have is named among the others. Where `root` is no tree, `wanted` stands for its mm/memory.c.
    Raises `PolicyError` with the file and the hunk that failed; `shown` is what it calls the tree.
    """
    given: list[_Given] = []
    notes: list[str] = []
    for file in _listed(files):
        found = _read(file)
        given += [_Given(file, patch) for patch in found.patches]
        notes += [f"{file}: not applied: the answer {quote(each)}" for each in found.replies]
    copy = _Copy(root, wanted, shown)
    for each in given:
        for diff in each.patch.files:
            notes += copy.apply(each.file, diff)
    once = tuple(dict.fromkeys(notes))
    return Patched(copy.texts, tuple(copy.others), once, tuple(copy.unread))


def _listed(files: Iterable[str]) -> Iterator[str]:
    """The patch files, those of a directory in the order of their names."""
    for file in files:
        path = Path(file)
        if not path.is_dir():
            yield file
            continue
        inside = sorted(str(child) for child in path.iterdir() if child.suffix in SUFFIXES)
        if not inside:
            wanted = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            raise PolicyError(f"{printable(file)}: the directory has no patch in it: {wanted}")
        yield from inside


def _read(file: str) -> Patches:
    found = patches_of(file, *_content(Path(file)))
    if not found.patches:
        raise PolicyError(
            f"{printable(file)}: no patch in it; a unified diff, or a mail or mailbox with one, "
            "begins each file with lines of '---', '+++' and '@@'"
        )
    return found


def _content(path: Path) -> tuple[bytes, int | None]:
    """All of a file, and the number of its first line; or of a large diff what matters, whose lines
    have no numbers."""
    try:
        start = read_at_most(path, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"{printable(str(path))}: cannot be read: {reason(error)}") from None
    is_small = len(start) <= MAX_BYTES
    if is_small and (start.count(b"\n") <= MOST_LINES or is_mail(start)):
        return start, 1
    if is_mail(start):
        size = MAX_BYTES // 2**20
        raise PolicyError(
            f"{printable(str(path))}: larger than {size} MiB, which no mailbox may be"
        )
    return condensed(path, MAX_BYTES), None


class _Copy:
    """The texts of the files that patches touch."""

    def __init__(self, root: Path, wanted: str, shown: str) -> None:
        self.root, self.wanted, self.shown = root, wanted, shown
        self.texts: dict[str, str] = {}
        self.others: dict[str, None] = {}
        self.unread: list[str] = []
        self._applied = 0
        self._effort = Effort()
        self._paths: dict[str, str | None] = {}

    def apply(self, file: str, diff: FileDiff) -> Iterator[str]:
        """Apply what it says of one file; what must be said of it."""
        before, after = (self._known(name) for name in (diff.old, diff.new))
        path = after if before is None else before
        if path is None or not self._take(path):
            self.others |= dict.fromkeys((path or diff.new, after or path or diff.new))
            self.unread += (hunk.text for hunk in diff.hunks)
            return
        if not diff.hunks or after not in (None, path):
            self.others |= dict.fromkeys((path, after or path))  # a mode, a name
        if diff.hunks and before is None:
            raise self._refused(file, path, diff.hunks[0])  # a new file, and there is one already
        if not diff.hunks:
            return
        self._applied += 1
        if self._applied > MOST_APPLIED:
            raise PolicyError(f"{printable(file)}: more than {MOST_APPLIED} changes of files")
        try:
            done = apply(self.texts[path], diff.hunks, self._effort)
        except Exhausted:
            raise PolicyError(
                f"{printable(file)}: to find where its hunks belong in {printable(path)} takes too "
                "long: they are many, and not where they say"
            ) from None
        except Refused as refused:
            raise self._refused(file, path, refused.hunk) from None
        self.texts[path] = done.text
        if done.fuzzy:
            yield f"{file}: applied to {path} with less context than it has (fuzz)"

    def _refused(self, file: str, path: str, hunk: Hunk) -> PolicyError:
        where = f"{printable(file)}:{hunk.line}" if hunk.line else printable(file)
        return PolicyError(
            f"{where}: hunk {quote(hunk.header)} does not apply to {printable(path)} of "
            f"{printable(self.shown)}"
        )

    def _known(self, name: str) -> str | None:
        if name not in self._paths:
            self._paths[name] = self._path(name)
        return self._paths[name]

    def _path(self, name: str) -> str | None:
        """The path within the tree: with `a/` or `b/` taken off, or as it stands if that exists.

        Of a file that stands alone it is the file's, whatever that is called; None for no file.
        """
        if name == os.devnull:
            return None
        parts = PurePosixPath(name).parts
        stripped, whole = "/".join(parts[1:]), "/".join(parts)
        is_whole = not is_plain(self.root, stripped) and is_plain(self.root, whole)
        path = whole if is_whole or not stripped else stripped
        alone = path == MEMORY and self.wanted != MEMORY
        return self.wanted if alone else path

    def _take(self, path: str) -> bool:
        """Read a file; False if the tree has no such source."""
        if path in self.texts:
            return True
        known = path == MAKEFILE or _is_source(path)
        if path != self.wanted and not (known and is_plain(self.root, path)):
            return False
        data = read_regular(self.root / path, MAX_SOURCE)
        self.texts[path] = data.decode("utf-8", "surrogateescape")
        return True


def _is_source(path: str) -> bool:
    """Whether a path is that of C within the folders that are looked at."""
    parts = path.split("/")
    hidden = any(part.startswith(".") or not part for part in parts)
    return parts[0] in FOLDERS and not hidden and path.endswith((".c", ".h"))
