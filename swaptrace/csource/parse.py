"""From text to the syntax tree of pycparser: the statements of a block, or a definition."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pycparser import c_ast
from pycparser.c_parser import CParser, ParseError

from swaptrace.csource.preprocess import resolve
from swaptrace.csource.source import CPlace, CSource
from swaptrace.csource.tokens import check_brackets, tokens_of, without_attributes, without_comments
from swaptrace.csource.words import words
from swaptrace.errors import quote

TYPES: Final = words(
    """
    bool u8 u16 u32 u64 s8 s16 s32 s64 size_t pte_t rmap_t vm_fault_t vm_flags_t swp_entry_t
    pgprot_t softleaf_t gfp_t pgoff_t pmd_t spinlock_t
    """
)
"""Names that the kernel's headers declare as types."""

_PRELUDE: Final = f"typedef int {', '.join(sorted(TYPES))};"

_POSITION: Final = re.compile(r"c:(\d+)(?::(\d+))?: (.*)", re.DOTALL)

_TYPED: Final = re.compile(r"(?P<before>\bm(?:in|ax)_t\s*\(\s*)(?P<type>[a-z][a-z0-9_ ]*)(?=\s*,)")

_NAMED: Final = "c"
"""What the parser is told that the file is called: the user's name could confuse `_POSITION`."""


class ParsedBlock(NamedTuple):
    """The body of a block; of a function definition the declaration as well."""

    source: CSource
    body: Any
    declaration: Any | None


def plain(source: CSource, defines: Collection[str]) -> str:
    """The text that is left of a source when comments, directives and attributes are gone.

    Raises `PolicyError` for what is no C, by its characters and brackets.
    """
    text = without_comments(source, "\n".join(source.lines))
    text = resolve(source, text, defines)
    check_brackets(source, text)
    return _TYPED.sub(_type_as_name, without_attributes(text))


def _type_as_name(match: re.Match[str]) -> str:
    """min_t() and max_t() take a type: a name of the same length stands for it."""
    return match.group("before") + name_of_type(match.group("type"))


def name_of_type(words: str) -> str:
    """What stands for a type where it is an argument: UNSIGNED_INT."""
    return words.upper().replace(" ", "_")


def parse_statements(source: CSource, text: str) -> ParsedBlock:
    """The statements as one compound."""
    tree = _parse(source, f"void f(void) {{\n#line {source.first}\n{text}\n}}")
    return ParsedBlock(source, tree.ext[-1].body, None)


def parse_definition(source: CSource, text: str) -> ParsedBlock:
    """The one function that the text defines."""
    found = _parse(source, f"\n#line {source.first}\n{text}").ext[len(TYPES) :]
    if len(found) != 1 or not isinstance(found[0], c_ast.FuncDef):
        first = next(iter(found), None)
        raise source.error(place_of(source, first), "expected the definition of one function")
    if found[0].param_decls:
        raise source.error(
            place_of(source, found[0].param_decls[0]), "expected the types of the parameters"
        )
    return ParsedBlock(source, found[0].body, found[0].decl)


def is_definition(text: str) -> bool:
    """Whether the text is a function definition rather than statements."""
    words: list[str] = []
    for token in tokens_of(text):
        if token.text == "(":
            break
        if token.kind != "name" and token.text != "*":
            return False
        words.append(token.text)
    return len(words) > 1 and words[0] not in ("return", "else", "do", "case", "goto")


def place_of(source: CSource, node: Any) -> CPlace:
    """Where a node stands; where a node has no place, the beginning."""
    coord = getattr(node, "coord", None)
    if coord is None:
        return source.start
    return CPlace(coord.line, coord.column or 1)


def _parse(source: CSource, text: str) -> Any:
    try:
        return _tree(text)
    except ParseError as error:
        match = _POSITION.match(str(error))
        if match is None:  # "At end of input": brackets match, so something is missing at the end
            last = source.first + max(0, len(source.lines) - 1)
            raise source.error(CPlace(last, 1), "the C ends too early") from None
        line, column, message = match.groups()
        raise source.error(CPlace(int(line), int(column or 1)), _readable(message)) from None


@lru_cache(maxsize=256)
def _tree(text: str) -> Any:
    """The syntax tree, which nobody changes: of a tree and the same with a patch, most functions
    are the same."""
    return CParser().parse(_PRELUDE + text, _NAMED)


def _readable(message: str) -> str:
    what, colon, near = message.partition("before: ")
    if colon and not what:
        return f"C that cannot be parsed, before {quote(near)}"
    return f"C that cannot be parsed: {quote(message)[1:-1]}"
