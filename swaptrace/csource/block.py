"""C text that decides at one point of the fault path, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Point = Literal["swapin_pte", "should_free_swap", "can_reuse_anon"]
"""The decision points that C can take, named as the methods of a `Policy`."""

POINT_OF: Final[Mapping[Point, str]] = {
    "swapin_pte": "the PTE after swap-in",
    "should_free_swap": "freeing the swap cache",
    "can_reuse_anon": "reusing a page",
}


class CBlock(NamedTuple):
    """Statements of `file` (as the user named it), the first of them on `line`, from 1.

    For `swapin_pte` they are what do_swap_page() does between mk_pte() and set_pte(); for
    `should_free_swap` the definition of should_try_to_free_swap(); for `can_reuse_anon` the
    definition of wp_can_reuse_anon_folio(), or (before 6.7) those statements of do_wp_page() that
    decide the same. `text` holds whole lines of the file, without a change: what is not part of the
    block is blank, so that columns agree.
    """

    file: str
    line: int
    text: str
