"""Functions of a tree that can be left to the built-in model, by `--builtin NAME`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from swaptrace.csource.kinds import RESULTS as FLAGS
from swaptrace.errors import PolicyError, did_you_mean, quote
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.primitive import Table, does
from swaptrace.ktree.faults.swapping import SIGBUS, number
from swaptrace.mm import memory

SAID: Final = "left to the built-in one"


def _write_protected(fault: Fault) -> int:
    """With what the fault knows of the page afterwards."""
    _check_even(fault)
    result = memory.do_wp_page(fault.page, fault.p)
    fault.shown = fault.page.maps[fault.p].pte
    if result.error:
        return SIGBUS
    return FLAGS["VM_FAULT_RETRY"] if result.retry else 0


def _reusable(fault: Fault, page: Any, _vma: Any = None) -> int:
    _check_even(fault)
    return int(memory.wp_can_reuse_anon_folio(fault.page, number(page)))


def _check_even(fault: Fault) -> None:
    """The built-in functions know of no references but those of mappings and swap cache."""
    if any(fault.held.values()) or any(fault.mapping.values()) or any(fault.kept.values()):
        raise Unmodelled("the fault holds references that the built-in function does not know of")


CALLED: Final[Table] = {
    "do_wp_page": does("M", _write_protected, SAID, "mm/memory.c"),
    "wp_can_reuse_anon_folio": does("v|vV", _reusable, SAID, "mm/memory.c"),
}
"""Those that C calls, as primitives."""

HANDED_OVER: Final = frozenset(
    {"do_wp_page", "do_anonymous_page", "can_change_pte_writable", "do_uffd_rwp", "swap_vma_ra_win"}
)
"""Those that the model itself hands over to a tree, and does not if they are left to it."""

ALWAYS: Final = frozenset({"wp_page_copy"})
"""Those that are never interpreted."""

NAMES: Final = tuple(sorted({*CALLED, *HANDED_OVER, *ALWAYS}))
"""All that `--builtin` takes."""


def replaced(names: Collection[str]) -> Mapping[str, Any]:
    """What the names stand for where C calls them. Raises `PolicyError` for others."""
    for name in names:
        if name not in NAMES:
            hint = did_you_mean(name, NAMES)
            wrong = f"the model has no {quote(name)} that a function could be left to"
            raise PolicyError(f"--builtin: {wrong}; {hint}")
    return {name: CALLED[name] for name in names if name in CALLED}
