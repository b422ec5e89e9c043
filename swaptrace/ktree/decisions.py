"""Where a kernel's mm/memory.c takes the decisions of a policy.

What is looked for is what has stayed the same since 5.19: that do_swap_page() makes a PTE with
mk_pte() and publishes it with set_pte_at() or set_ptes(), and the names of two functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from swaptrace.csource.block import CBlock, Point
from swaptrace.csource.preprocess import defined_with
from swaptrace.errors import PolicyError
from swaptrace.ktree.cleaned import Cleaned, check_braces, cleaned, line_of
from swaptrace.ktree.functions import (
    Function,
    TextSpan,
    block_end,
    functions,
    statement_end,
    statement_start,
)

_MADE: Final = re.compile(r"\b\w+\s*=\s*(?:folio_)?mk_pte\s*\(")

_PUBLISHED: Final = re.compile(r"\bset_pte(?:s|_at|_at_notify)?\s*\(")

_FREES: Final = re.compile(r"\bshould_try_to_free_swap\s*\(")

_EXCLUSIVE: Final = re.compile(r"\bPageAnonExclusive\s*\(")

_REUSE: Final = re.compile(r"\breuse\s*:")

_IF: Final = re.compile(r"if\b")


class Decisions(NamedTuple):
    """What a file decides: the spans of each decision, and of its functions."""

    file: Cleaned
    functions: Mapping[str, Function]
    spans: Mapping[Point, TextSpan]

    def blocks(self) -> dict[Point, CBlock]:
        """The C of each decision, at its lines."""
        return {point: _block(self.file, span) for point, span in self.spans.items()}

    def frees_after_mapping(self) -> bool:
        """Whether do_swap_page() calls should_try_to_free_swap() behind set_ptes(), as newer
        kernels do: folio_ref_count() then counts a swap cache that the model has freed."""
        span, function = self.spans.get("swapin_pte"), self.functions.get("do_swap_page")
        if span is None or function is None:
            return False
        asked = _FREES.search(self.file.code, function.body, function.end)
        return asked is not None and asked.start() > span.end

    def texts(self) -> dict[Point, str]:
        """The words of each decision, without comments: what two trees can be compared by."""
        uncommented = self.file.uncommented
        return {p: " ".join(uncommented[s.start : s.end].split()) for p, s in self.spans.items()}


def decisions_of(file: str, text: str, defines: Collection[str]) -> Decisions:
    """Find the decisions of mm/memory.c.

    Raises `PolicyError` where it is no C, is older than 5.19, or has none of the decisions.
    """
    found = cleaned(file, text, defined_with(defines))
    check_braces(found)
    named = {each.name: each for each in functions(found.code)}
    spans = {point: span for point, span in _spans(found, named).items() if span is not None}
    if not spans:
        raise PolicyError(
            f"{file}: no decision of the fault path in it: it has no do_swap_page() with mk_pte() "
            "and set_pte_at(), no should_try_to_free_swap() and no wp_can_reuse_anon_folio()"
        )
    if "swapin_pte" in spans and not re.search(r"\bpte_swp_exclusive\b", found.code):
        raise PolicyError(
            f"{file}: older than Linux 5.19: it knows no pte_swp_exclusive(), and the model has "
            "no kernel without exclusive swap entries"
        )
    return Decisions(found, named, spans)


def _spans(file: Cleaned, named: Mapping[str, Function]) -> dict[Point, TextSpan | None]:
    return {
        "swapin_pte": _swapin(file, named.get("do_swap_page")),
        "should_free_swap": _whole(named.get("should_try_to_free_swap")),
        "can_reuse_anon": _whole(named.get("wp_can_reuse_anon_folio"))
        or _reuse(file, named.get("do_wp_page")),
    }


def _whole(function: Function | None) -> TextSpan | None:
    return None if function is None else TextSpan(function.start, function.end)


def _swapin(file: Cleaned, function: Function | None) -> TextSpan | None:
    """From the statement that makes the PTE to the one that publishes it."""
    if function is None:
        return None
    made = list(_MADE.finditer(file.code, function.body, function.end))
    if len(made) > 1:
        place = file.source.place(file.code, made[1].start())
        first = line_of(file.code, made[0].start())
        raise file.source.error(
            place, f"do_swap_page() makes a second PTE after that of line {first}: which decides?"
        )
    published = _PUBLISHED.search(file.code, made[0].end(), function.end) if made else None
    if published is None:
        return None
    start = statement_start(file.code, made[0].start())
    if published.start() > block_end(file.code, start):
        return None
    return TextSpan(start, statement_end(file.code, start, published.start()))


def _reuse(file: Cleaned, function: Function | None) -> TextSpan | None:
    """Before 6.7: do_wp_page() from the check for exclusive pages to the label `reuse:`."""
    if function is None:
        return None
    for check in _EXCLUSIVE.finditer(file.code, function.body, function.end):
        start = statement_start(file.code, check.start())
        if _IF.match(file.code, start) is not None:
            end = block_end(file.code, start)
            label = _REUSE.search(file.code, start, end)
            return TextSpan(start, label.start() if label is not None else end)
    return None


def _block(file: Cleaned, span: TextSpan) -> CBlock:
    """The lines of the span, without those that `#if` leaves out."""
    first = line_of(file.code, span.start)
    start = file.text.rfind("\n", 0, span.start) + 1
    before = re.sub(r"\S", " ", file.text[start : span.start])
    text = before + file.text[span.start : span.end]
    code = file.code[start : span.end].split("\n")
    uncommented = file.uncommented[start : span.end].split("\n")
    kept = [
        line if code[number].strip() or not uncommented[number].strip() else " " * len(line)
        for number, line in enumerate(text.split("\n"))
    ]
    return CBlock(file.source.file, first, "\n".join(kept))
