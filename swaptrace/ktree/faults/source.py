"""The files of a tree that the functions of a fault stand in, and the definitions in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from swaptrace.csource.block import CBlock
from swaptrace.csource.parse import parse_definition, plain
from swaptrace.csource.scope import width_of
from swaptrace.csource.source import CSource, source_of
from swaptrace.errors import PolicyError
from swaptrace.kernels import Version
from swaptrace.ktree.cleaned import MAX_BYTES, Cleaned, check_braces, cleaned, line_of
from swaptrace.ktree.functions import Function, TextSpan, functions
from swaptrace.ktree.regular import is_plain, read_regular
from swaptrace.ktree.spec import MEMORY

FILES: Final = (
    MEMORY,
    "mm/mprotect.c",
    "mm/swap_state.c",
    "mm/swapfile.c",
    "mm/rmap.c",
    "mm/swap.h",
    "mm/internal.h",
    "include/linux/mm.h",
    "include/linux/mm_inline.h",
    "include/linux/swap.h",
    "include/linux/swapops.h",
    "include/linux/leafops.h",
    "include/linux/userfaultfd_k.h",
    "include/linux/rmap.h",
)
"""Where a function is looked for that the model does not have, in this order."""


_MACRO: Final = re.compile(r"[ \t]*#[ \t]*(?:define|undef)\b")


class Definition(NamedTuple):
    """A function, parsed; `words` is its text without comments, on one line. `macros` are the lines
    within it that define a name, or no longer do: what follows is read as it stands. `span` is
    where it is `within` its file."""

    name: str
    file: str
    source: CSource
    tree: Any
    declaration: Any
    words: str
    within: Cleaned
    span: TextSpan
    macros: tuple[int, ...] = ()

    @property
    def width(self) -> tuple[int, bool] | None:
        """Bits and sign of what it returns; None if that is no integer."""
        return width_of(self.declaration.type)


class _File(NamedTuple):
    text: Cleaned
    functions: Mapping[str, Function]


class Sources:
    """The texts of a tree, with those that patches changed in their place.

    `version` is that of the kernel, if it is known; `shown` is how messages call a file of the
    tree; what has been read is in `texts`, and nothing else is needed to read the same functions
    again elsewhere.
    """

    def __init__(
        self,
        root: Path | None,
        texts: Mapping[str, str],
        shown: Mapping[str, str],
        defined: Collection[str],
        version: Version | None = None,
    ) -> None:
        self.root, self.defined, self.version = root, defined, version
        self.texts = dict(texts)
        self.shown = dict(shown)
        self._files: dict[str, _File] = {}

    def defining(self, name: str) -> Sources:
        """The same texts with one more name defined."""
        defined = {*self.defined, name}
        return Sources(self.root, self.texts, self.shown, defined, self.version)

    def definition(self, name: str) -> Definition | None:
        """The first definition of the name; None if the tree has none. Raises `PolicyError`."""
        pattern = re.compile(rf"\b{re.escape(name)}\s*\(")
        for path in FILES:
            text = self.text(path)
            if text is None or pattern.search(text) is None:
                continue
            file = self._file(path, text)
            found = file.functions.get(name)
            if found is not None:
                return _parsed(path, file.text, found, self.defined)
        return None

    def text(self, path: str) -> str | None:
        """The text of a file; None if the tree has none of that name."""
        if path not in self.texts:
            if self.root is None or not is_plain(self.root, path):
                return None
            data = read_regular(self.root / path, MAX_BYTES)
            self.texts[path] = data.decode("utf-8", "surrogateescape")
            self.shown.setdefault(path, str(self.root / path))
        return self.texts[path]

    def _file(self, path: str, text: str) -> _File:
        if path not in self._files:
            found = cleaned(self.shown.get(path, path), text, self.defined)
            check_braces(found)
            self._files[path] = _File(found, {each.name: each for each in functions(found.code)})
        return self._files[path]


def _parsed(path: str, file: Cleaned, found: Function, defined: Collection[str]) -> Definition:
    first = line_of(file.code, found.start)
    start = file.text.rfind("\n", 0, found.start) + 1
    before = " " * (found.start - start)
    kept = _compiled(file, start, found)
    block = CBlock(file.source.file, first, before + kept[found.start - start :])
    source = source_of(block)
    shown = source._replace(lines=tuple(file.text[start : found.end].split("\n")))
    try:
        parsed = parse_definition(shown, plain(source, defined))
    except RecursionError:
        raise shown.error(shown.start, f"{found.name}() is nested too deeply") from None
    words = " ".join(file.uncommented[found.start : found.end].split())
    inside = enumerate(file.uncommented[found.start : found.end].split("\n"), first)
    macros = tuple(number for number, line in inside if _MACRO.match(line))
    span = TextSpan(found.start, found.end)
    return Definition(
        found.name, path, shown, parsed.body, parsed.declaration, words, file, span, macros
    )


def _compiled(file: Cleaned, start: int, found: Function) -> str:
    """The text without what `#if` leaves out, and without comments."""
    code = file.code[start : found.end].split("\n")
    uncommented = file.uncommented[start : found.end].split("\n")
    return "\n".join(
        line if code[number].strip() or not line.strip() else " " * len(line)
        for number, line in enumerate(uncommented)
    )


def error_of(errors: Collection[PolicyError]) -> PolicyError:
    """All errors as one, each once."""
    return PolicyError("\n".join(dict.fromkeys(str(each) for each in errors)))
