"""What `kernel:PATH+FILE` names: a tree or its mm/memory.c, and patches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable, quote

PREFIX: Final = "kernel:"

MEMORY: Final = "mm/memory.c"

MAX_PLUS: Final = 12
"""Signs `+` in a spec; a name may have some itself, and all splits are tried."""


class Spec(NamedTuple):
    """`path` is the tree or the file, as the user named it; `patches` are files or directories."""

    path: str
    patches: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file with the fault path, as messages name it."""
        return f"{self.path.rstrip('/') or '/'}/{MEMORY}" if Path(self.path).is_dir() else self.path

    @property
    def root(self) -> Path:
        """The tree."""
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
    found = next((names for names in _splits(parts) if all(map(_exists, names))), tuple(parts))
    missing = next((name for name in found if not _exists(name)), None)
    if missing is None:
        return _checked(Spec(found[0], found[1:]))
    if not missing:
        raise PolicyError(
            f"{printable(text)}: a name is missing; it is kernel:PATH, the path of a kernel tree "
            "or of its mm/memory.c, or kernel:PATH+FILE with a patch"
        )
    what = "kernel tree or mm/memory.c" if missing == found[0] else "patch"
    raise PolicyError(f"{printable(text)}: no {what} {quote(missing)}")


def _exists(name: str) -> bool:
    return bool(name) and Path(name).exists()


def _splits(parts: list[str]) -> Iterator[tuple[str, ...]]:
    """Every way to join the parts into names, the longest first ones first."""
    if not parts:
        yield ()
    for count in range(len(parts), 0, -1):
        first = "+".join(parts[:count])
        if _exists(first):
            yield from ((first, *others) for others in _splits(parts[count:]))


def _checked(spec: Spec) -> Spec:
    if not Path(spec.file).is_file():
        raise PolicyError(
            f"{printable(spec.path)}: no kernel tree: it has no {MEMORY}; name the folder that "
            "has mm/ in it"
        )
    return spec
