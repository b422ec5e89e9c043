"""The argument of a `check` step: the claims that it makes, each with its position."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from swaptrace.counters import VIOLATIONS
from swaptrace.errors import quote
from swaptrace.scenario.claims import (
    LETTERS,
    NO_FLAGS,
    NOT_SOFT_DIRTY,
    SOFT_DIRTY,
    UNCHANGED,
    UNMAPPED,
    ZEROES,
    Bounds,
    Claims,
    Data,
    DataRun,
    PageMap,
    PageRun,
    merged,
    page_code,
)
from swaptrace.scenario.nodes import Listing, MappingNode, Node, Scalar, a_kind, known_entries
from swaptrace.scenario.pagescan import LETTERS as LETTERS_OF_SCAN
from swaptrace.scenario.pagescan import NO_CATEGORY, NOT_FOUND, ScanClaim
from swaptrace.scenario.source import Report, SourceMark
from swaptrace.scenario.values import (
    BYTE,
    OFFSET,
    WORD,
    Invalid,
    Reader,
    choice,
    line_of_text,
    read,
)

T = TypeVar("T")

KEYS: Final = ("pages", "data", "vmas", "violations", "scan", "policies")
CLAIMED: Final = KEYS[:-1]
FORM: Final = "`{pages: {buf: 16PX}}`"
OF_THE_STEP: Final = {
    "process": "process is a key of the step; write it beside 'check', not within"
}

COUNT: Final = r"[1-9][0-9]{0,17}"
PAGE_RUN: Final = re.compile(rf"({COUNT})([A-Za-z]*|-)", re.ASCII)
DATA_RUN: Final = re.compile(rf"({COUNT}) *: *(.*)", re.ASCII)

ONE_RUN: Final = rf"{COUNT}([{LETTERS}{NOT_SOFT_DIRTY}]+|-)"
PAGE_CODE: Final = rf"{ONE_RUN}( *, *{ONE_RUN})*"
VMAS: Final = re.compile(rf"(\+?{COUNT}|{COUNT}-)(,({COUNT}|{COUNT}-))*\+?", re.ASCII)
VALUE: Final = rf"{UNCHANGED}|{UNMAPPED}|{ZEROES}|[0-9][0-9a-fA-FxXo]*"
DATA_CODE: Final = rf"({VALUE})|{COUNT} *: *({VALUE})( *, *{COUNT} *: *({VALUE}))*"
"""What an editor takes for a code."""

VIOLATION: Final[Reader[str]] = choice(VIOLATIONS, "a violation")

Marks = dict[str, SourceMark]


def read_claims(node: Node, report: Report, marks: Marks) -> Claims:
    """What the step claims; `marks` gets the position of each region and policy.

    A region's is called `pages REGION` or `data REGION`, a policy's `policies NUMBER`.
    """
    if not isinstance(node, MappingNode):
        report.add(node.mark, f"check is a mapping, as {FORM}, not {a_kind(node)}")
        return Claims()
    entries = known_entries(node, KEYS, "check", report, OF_THE_STEP)
    if not entries.keys() & set(CLAIMED):
        *some, last = map(repr, CLAIMED)
        report.add(node.mark, f"check needs {', '.join(some)} or {last}, as {FORM}")
    found = {key: entry.node for key, entry in entries.items()}
    listed = _listed(found.get("violations"), "violations", report)
    return Claims(
        pages=tuple(_by_region(found.get("pages"), "pages", page_map, report, marks)),
        data=tuple(_by_region(found.get("data"), "data", page_data, report, marks)),
        violations=None if listed is None else tuple(_kinds(listed, report)),
        policies=tuple(_policies(found.get("policies"), report, marks)),
        scan=_scan(found.get("scan"), report),
        vmas=tuple(_by_region(found.get("vmas"), "vmas", bounds, report, marks)),
    )


def _scan(node: Node | None, report: Report) -> ScanClaim | None:
    """What is claimed of a scan."""
    if node is None:
        return None
    if not isinstance(node, MappingNode) or not node.entries:
        form = "`{regions: 1, walk_end: 16KiB, pages: 4WP}`"
        report.add(node.mark, f"scan is a mapping, as {form}, not {a_kind(node)}")
        return None
    entries = known_entries(node, tuple(SCAN_READERS), "scan", report)
    return ScanClaim(
        **{
            key: read(report, entry.node, key, SCAN_READERS[key], None)
            for key, entry in entries.items()
        }
    )


def scan_code(text: str) -> str:
    """Read the pages of a scan."""
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        found = SCAN_RUN.fullmatch(part)
        flags = found[2] if found else ""
        if found is None or list(flags) != sorted(set(flags), key=SCAN_LETTERS.find):
            raise Invalid(
                f"{quote(part)} is no run of pages; write how many, then some of {LETTERS_OF_SCAN} "
                "in this order, '.' for none of them, '-' for pages that were not found"
            )
    runs = [PageRun(int(part.rstrip(SCAN_LETTERS)), part.lstrip("0123456789")) for part in parts]
    return page_code(merged(iter(runs)))


SCAN_LETTERS: Final = f"{LETTERS_OF_SCAN}{NO_CATEGORY}{NOT_FOUND}"
SCAN_FLAGS: Final = f"[{LETTERS_OF_SCAN}]+|[{NO_CATEGORY}{NOT_FOUND}]"
SCAN_RUN: Final = re.compile(rf"({COUNT})({SCAN_FLAGS})", re.ASCII)
SCAN_PAGES: Final = f"{SCAN_RUN.pattern}( *, *{SCAN_RUN.pattern})*"
SCAN_READERS: Final[dict[str, Reader[Any]]] = {
    "regions": WORD,
    "walk_end": OFFSET,
    "pages": scan_code,
}


def _by_region(
    node: Node | None, key: str, reader: Callable[[str], T], report: Report, marks: Marks
) -> Iterator[tuple[str, T]]:
    """The regions and what is claimed of each."""
    if node is None:
        return
    if not isinstance(node, MappingNode) or not node.entries:
        form = "`{buf: 16PX}`" if key == "pages" else "`{buf: 0x11}`"
        report.add(node.mark, f"{key} is a mapping of regions, as {form}, not {a_kind(node)}")
        return
    for region, (mark, value) in node.entries.items():
        if _is_cut(region, value):
            whole = "a code with a comma is quoted within { }, as {buf: '8PX,8S'}"
            report.add(mark, f"{key}: {quote(region)} is no region; {whole}")
            return
    for region, (mark, value) in node.entries.items():
        marks[f"{key} {region}"] = mark
        claim = read(report, value, f"{key} of {region}", reader, None)
        if claim is not None:
            yield region, claim


def _is_cut(region: str, value: Node) -> bool:
    """Whether YAML took what stands behind a comma of a code for a key of its own."""
    empty = isinstance(value, Scalar) and not value.text
    return empty and (PAGE_RUN.fullmatch(region) is not None or region[:1].isdigit())


def _listed(node: Node | None, key: str, report: Report) -> tuple[Node, ...] | None:
    """The items of a list that may be left out."""
    if node is None:
        return None
    if isinstance(node, Listing):
        return node.items
    report.add(node.mark, f"{key} is a list, as [{a_name(key)}], not {a_kind(node)}")
    return None


def a_name(key: str) -> str:
    """What could stand in the list."""
    return VIOLATIONS[0] if key == "violations" else "final"


def _kinds(items: tuple[Node, ...], report: Report) -> Iterator[str]:
    seen: set[str] = set()
    for item in items:
        kind = read(report, item, "violations", VIOLATION, None)
        if kind in seen:
            report.add(item.mark, f"violations: {quote(kind)} is given twice")
        elif kind is not None:
            seen.add(kind)
            yield kind


def _policies(node: Node | None, report: Report, marks: Marks) -> Iterator[str]:
    items = _listed(node, "policies", report)
    if items == () and node is not None:
        report.add(
            node.mark, "policies is an empty list; leave it out, to check under every policy"
        )
    for number, item in enumerate(items or ()):
        policy = read(report, item, "policies", line_of_text, None)
        if policy is not None:
            marks[f"policies {number}"] = item.mark
            yield policy


# The codes.


def page_map(text: str) -> PageMap:
    """Read a page map."""
    parts = [part.strip() for part in text.split(",")]
    speaks = any(letter in part for part in parts for letter in (SOFT_DIRTY, NOT_SOFT_DIRTY))
    return PageMap(merged(map(_page_run, parts)), speaks)


def _page_run(text: str) -> PageRun:
    found = PAGE_RUN.fullmatch(text)
    if found is None or not found[2]:
        raise Invalid(
            f"{quote(text)} is no run of pages; write how many, then their flags, as '8PX,8S', "
            "and '-' for none"
        )
    flags = found[2].replace(NO_FLAGS, "")
    unknown = next((letter for letter in flags if letter not in (*LETTERS, NOT_SOFT_DIRTY)), None)
    if unknown is not None:
        valid = f"{', '.join(LETTERS)}, {NOT_SOFT_DIRTY} for not soft-dirty, or -"
        raise Invalid(f"{quote(unknown)} is no flag of a page; valid: {valid}")
    if SOFT_DIRTY in flags and NOT_SOFT_DIRTY in flags:
        raise Invalid(f"{quote(text)}: a page is soft-dirty or not, not both")
    twice = next((letter for letter in flags if flags.count(letter) > 1), None)
    if twice is not None:
        raise Invalid(f"{quote(text)} has the flag {twice} twice")
    if "P" in flags and "S" in flags:
        raise Invalid(f"{quote(text)}: a page is present or in swap, not both")
    ordered = "".join(letter for letter in LETTERS if letter in flags)
    return PageRun(int(found[1]), ordered or NO_FLAGS)


def bounds(text: str) -> Bounds:
    """Read the bounds of VMAs."""
    code = text.replace(" ", "")
    if not VMAS.fullmatch(code):
        form = "write how many pages each VMA has, holes with a '-', as '4,2-,10'"
        raise Invalid(f"{quote(text)} says no bounds of VMAs; {form}")
    return Bounds(code)


def page_data(text: str) -> Data:
    """Read data."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and DATA_RUN.fullmatch(text) is None:
        return Data(everywhere=_value(text))
    return Data(tuple(map(_data_run, parts)))


def _data_run(text: str) -> DataRun:
    found = DATA_RUN.fullmatch(text)
    if found is None:
        raise Invalid(
            f"{quote(text)} is no run of data; write how many pages, then what they hold, as "
            "'8:0x11,8:zero'"
        )
    return DataRun(int(found[1]), _value(found[2]))


def _value(text: str) -> int | str:
    if text in (UNCHANGED, UNMAPPED):
        return text
    if text == ZEROES:
        return 0
    try:
        return BYTE(text)
    except Invalid:
        valid = "a byte such as 0x11, zero, unchanged, or - for pages that are not mapped"
        raise Invalid(f"{quote(text)} is no data of a page; valid: {valid}") from None
