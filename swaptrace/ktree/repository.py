"""Files of a commit, out of a git repository that may be a stranger's: objects are read, and
nothing else of it runs or is followed.

Only `git cat-file` is called, and told what to read on its standard input. No configuration but the
repository's is read, no transport is allowed (a partial clone would fetch what it lacks, by a
command of its own), and neither hooks, filters nor attributes take part.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from swaptrace.errors import PolicyError, printable, quote
from swaptrace.ktree.cleaned import MAX_BYTES

PATIENCE: Final = 60
"""Seconds for git to answer."""


def git_dir(path: str) -> Path | None:
    """Where the objects of a repository are, bare or not; None if the path is none."""
    for place in (Path(path) / ".git", Path(path)):
        if place.is_file() or (place / "objects").is_dir():
            return place
    return None


@contextmanager
def checked_out(path: str, revision: str, wanted: Iterable[str]) -> Iterator[Path]:
    """A folder with those of the files that the commit has, as long as the context lasts.

    Raises `PolicyError` where there is no such commit.
    """
    where = git_dir(path)
    shown = f"{printable(path)}@{printable(revision)}"
    if where is None:
        raise PolicyError(f"{shown}: {quote(path)} is no git repository")
    commit = _commit(where, revision, shown)
    with TemporaryDirectory(prefix="swaptrace-") as name:
        for file in dict.fromkeys(wanted):
            content = _blob(where, f"{commit}:{file}", shown)
            if content is not None:
                target = Path(name) / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        yield Path(name)


def _commit(where: Path, revision: str, shown: str) -> str:
    if not revision or any(not c.isprintable() or c.isspace() for c in revision):
        raise PolicyError(f"{shown}: no revision can be called so")
    said = _ask(where, "--batch-check", f"{revision}^{{commit}}", shown).split()
    if len(said) != 3 or said[1] != b"commit":
        raise PolicyError(f"{shown}: the repository has no commit {quote(revision)}")
    return said[0].decode("ascii")


def _blob(where: Path, name: str, shown: str) -> bytes | None:
    """The content of a regular file; None if there is none of the name."""
    if "\n" in name or ".." in name.partition(":")[2].split("/"):
        return None
    header = _ask(where, "--batch-check", name, shown).split()
    if len(header) != 3 or header[1] != b"blob":
        return None
    if int(header[2]) > MAX_BYTES:
        file = printable(name.partition(":")[2])
        raise PolicyError(f"{shown}/{file}: larger than {MAX_BYTES // 2**20} MiB")
    return _ask(where, "--batch", name, shown).partition(b"\n")[2][: int(header[2])]


def _ask(where: Path, how: str, question: str, shown: str) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise PolicyError(f"{shown}: needs git to read a revision, and there is none")
    try:
        done = subprocess.run(
            [git, "cat-file", how],
            input=f"{question}\n".encode("utf-8", "surrogateescape"),
            env=environment(where),
            cwd="/",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PolicyError(f"{shown}: git does not answer") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise PolicyError(f"{shown}: git says: {printable(said)}")
    return done.stdout


def environment(where: Path) -> dict[str, str]:
    """All that git gets to know."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_DIR": str(where.resolve()),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
