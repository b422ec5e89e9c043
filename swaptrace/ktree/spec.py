"""What `kernel:PATH+FILE` names: a tree or its mm/memory.c, and patches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable, quote
from swaptrace.ktree.repository import git_dir

PREFIX: Final = "kernel:"

MEMORY: Final = "mm/memory.c"

MAKEFILE: Final = "Makefile"
"""The file of a tree that gives its version."""

MAX_PLUS: Final = 12
"""Signs `+` in a spec; a name may have some itself, and all splits are tried."""


class Spec(NamedTuple):
    """`path` is the tree or the file, as the user named it; `patches` are files or directories.

    Of a git repository, bare or not, `revision` is the commit that is meant, and `place` the folder
    that its files have been written to.
    """

    path: str
    patches: tuple[str, ...]
    revision: str = ""
    place: str = ""

    @property
    def file(self) -> str:
        """The file with the fault path, as messages name it."""
        if self.revision or Path(self.path).is_dir():
            return f"{self.tree.rstrip('/') or '/'}/{MEMORY}"
        return self.path

    @property
    def tree(self) -> str:
        """The tree or the file, as messages name it."""
        return f"{self.path}@{self.revision}" if self.revision else self.path

    @property
    def root(self) -> Path:
        """The tree."""
        if self.place:
            return Path(self.place)
        file = Path(self.file)
        return file.parent.parent if self.file.endswith(MEMORY) else file.parent

    @property
    def within(self) -> str:
        """The path of the file in the tree."""
        return MEMORY if self.file.endswith(MEMORY) else Path(self.file).name


def spec_of(text: str) -> Spec:
    """Split what the user gave. Raises `PolicyError` if there is nothing of that name."""
    rest = text.removeprefix(PREFIX)
    parts = rest.split("+")
    if len(parts) > MAX_PLUS:
        raise PolicyError(f"{printable(text)}: more than {MAX_PLUS} signs '+'")
    options = [names for names in _splits(parts) if all(map(_exists, names))]
    # A sign '+' behind '@' is of a revision only where no patch has what follows for its name.
    paths = (names for names in options if Path(names[0]).exists())
    found = next(paths, options[-1] if options else tuple(parts))
    missing = next((name for name in found if not _exists(name)), None)
    if missing is None:
        return _checked(_spec(found[0], found[1:]))
    if not missing:
        raise PolicyError(
            f"{printable(text)}: a name is missing; it is kernel:PATH, the path of a kernel tree "
            "or of its mm/memory.c, kernel:PATH@REVISION of a git repository, or one of these and "
            "+FILE with a patch"
        )
    what = "kernel tree or mm/memory.c" if missing == found[0] else "patch"
    raise PolicyError(f"{printable(text)}: no {what} {quote(missing)}")


def _spec(name: str, patches: tuple[str, ...]) -> Spec:
    path, _, revision = name.rpartition("@")
    return Spec(name, patches) if Path(name).exists() else Spec(path, patches, revision)


def _exists(name: str) -> bool:
    """Whether something has that name, or is a repository whose revision it names."""
    path, at, revision = name.rpartition("@")
    if not name or Path(name).exists():
        return bool(name)
    return bool(at and path and revision) and git_dir(path) is not None


def _splits(parts: list[str]) -> Iterator[tuple[str, ...]]:
    """Every way to join the parts into names, the longest first ones first."""
    if not parts:
        yield ()
    for count in range(len(parts), 0, -1):
        first = "+".join(parts[:count])
        if _exists(first):
            yield from ((first, *others) for others in _splits(parts[count:]))


def _checked(spec: Spec) -> Spec:
    if not spec.revision and not Path(spec.file).is_file():
        raise PolicyError(
            f"{printable(spec.path)}: no kernel tree: it has no {MEMORY}; name the folder that "
            "has mm/ in it"
        )
    return spec
