"""Patches on files of a tree: applied by `git apply` to copies, the tree is only read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable, quote
from swaptrace.files import read_at_most, reason
from swaptrace.ktree.diff import MAX_BYTES, FileDiff, Hunk, Patch, Patches, patches_of
from swaptrace.ktree.spec import MEMORY

SUFFIXES: Final = (".patch", ".diff", ".mbox", ".eml")
"""What is taken from a directory of patches, in the order of the names."""

ATTEMPTS: Final = ((), ("-C1",))
"""As it stands, at whatever line; then with one line of context on each side, as fuzz 2."""

_FAILED: Final = re.compile(r"patch failed: .*:(\d+)$", re.MULTILINE)


class Patched(NamedTuple):
    """`text` of the file that was asked for, `others` the files besides that the patches change,
    `notes` what else must be said."""

    text: str
    others: tuple[str, ...]
    notes: tuple[str, ...]


class _Given(NamedTuple):
    """A patch, and the file that it came in, as the user named it."""

    file: str
    patch: Patch


def patched(root: Path, wanted: str, files: Iterable[str]) -> Patched:
    """The text of `root/wanted` with the patch files applied.

    Every file that they touch and the tree has must take its hunks; a file that the tree does not
    have is named among the others. Where `root` is no tree, `wanted` stands for its mm/memory.c.
    Raises `PolicyError` with the file and the hunk that failed.
    """
    git = _git()
    given: list[_Given] = []
    notes: list[str] = []
    for file in _listed(files):
        found = _read(file)
        given += [_Given(file, patch) for patch in found.patches]
        notes += [f"{file}: not applied: the answer {quote(each)}" for each in found.replies]
    with TemporaryDirectory(prefix="swaptrace-") as directory:
        copy = _Copy(git, root, wanted, Path(directory))
        for each in given:
            for diff in each.patch.files:
                notes += copy.apply(each.file, diff)
        text = (copy.directory / wanted).read_bytes() if wanted in copy.touched else None
    if text is None:
        text = (root / wanted).read_bytes()
    others = tuple(dict.fromkeys(path for path in copy.touched if path != wanted))
    return Patched(text.decode("utf-8", "surrogateescape"), others, tuple(notes))


def _git() -> str:
    git = shutil.which("git")
    if git is None:
        raise PolicyError("kernel:PATH+FILE needs git to apply a patch, and there is none")
    return git


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
    try:
        data = read_at_most(file, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"{printable(file)}: cannot be read: {reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise PolicyError(f"{printable(file)}: larger than {MAX_BYTES // 2**20} MiB")
    found = patches_of(data)
    if not found.patches:
        raise PolicyError(
            f"{printable(file)}: no patch in it; a unified diff, or a mail or mailbox with one, "
            "begins each file with lines of '---', '+++' and '@@'"
        )
    return found


class _Copy:
    """Copies of the files that patches touch."""

    def __init__(self, git: str, root: Path, wanted: str, directory: Path) -> None:
        self.git, self.root, self.wanted, self.directory = git, root, wanted, directory
        self.touched: dict[str, bool] = {}

    def apply(self, file: str, diff: FileDiff) -> Iterator[str]:
        """Apply what it says of one file; what must be said of it."""
        path = self._path(diff)
        copied = path in self.touched and self.touched[path]
        if not copied:
            self.touched[path] = self._take(path)
        if not self.touched[path] or not diff.hunks:
            return
        for options in ATTEMPTS:
            failed = self._run(path, diff, options)
            if failed is None:
                if options:
                    yield f"{file}: applied to {path} with less context than it has (fuzz)"
                return
        raise self._refused(file, path, diff, failed or "")

    def _path(self, diff: FileDiff) -> str:
        """The path within the tree: with `a/` or `b/` taken off, or as it stands if that exists.

        Of a file that stands alone it is the file's, whatever that is called.
        """
        name = diff.old if diff.old != os.devnull else diff.new
        parts = PurePosixPath(name).parts
        stripped = "/".join(parts[1:])
        whole = "/".join(parts)
        is_whole = not (self.root / stripped).is_file() and (self.root / whole).is_file()
        path = whole if is_whole or not stripped else stripped
        alone = path == MEMORY and not (self.root / MEMORY).is_file()
        return self.wanted if alone else path

    def _take(self, path: str) -> bool:
        """Copy a file; False if the tree has none of that name."""
        parts = PurePosixPath(path).parts
        source = self.root / path
        if ".." in parts or path.startswith("/") or not source.is_file():
            return False
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return True

    def _run(self, path: str, diff: FileDiff, options: Iterable[str]) -> str | None:
        """What git says where it fails; None if the patch is applied."""
        text = "\n".join([f"--- a/{path}", f"+++ b/{path}", *(h.text for h in diff.hunks), ""])
        done = subprocess.run(
            [self.git, "apply", "--whitespace=nowarn", *options, "-"],
            input=text.encode("utf-8", "surrogateescape"),
            cwd=self.directory,
            env=_environment(os.environ, self.directory),
            capture_output=True,
            check=False,
        )
        return None if done.returncode == 0 else done.stderr.decode(errors="replace")

    def _refused(self, file: str, path: str, diff: FileDiff, said: str) -> PolicyError:
        match = _FAILED.search(said)
        hunk = _hunk_at(diff.hunks, int(match.group(1))) if match is not None else diff.hunks[0]
        where = f"{printable(file)}:{hunk.line}" if hunk.line else printable(file)
        reason = "" if match is not None else f": {said.strip()}"
        return PolicyError(
            f"{where}: hunk {quote(hunk.header)} does not apply to {path} of "
            f"{printable(str(self.root))}{reason}"
        )


def _hunk_at(hunks: tuple[Hunk, ...], line: int) -> Hunk:
    return next((hunk for hunk in hunks if hunk.first == line), hunks[0])


def _environment(ours: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Ours, but that git looks for no repository around the copies, and speaks English."""
    kept = {name: value for name, value in ours.items() if not name.startswith("GIT_")}
    return kept | {"GIT_CEILING_DIRECTORIES": str(directory.resolve().parent), "LC_ALL": "C"}
