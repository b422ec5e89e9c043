"""What an exploration is about, and so what is proved: in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final

from swaptrace.exploration.alphabet import DEFAULT, ON_REQUEST, on_targets
from swaptrace.exploration.company import without_company
from swaptrace.kernels import Rule, follows
from swaptrace.mm.policy import Policy
from swaptrace.mm.readahead import ROOT
from swaptrace.result.result import machine_mapping
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.thp import large_folios

NO_READAHEAD: Final = "machine.swap.page_cluster=0"
"""What every machine has here."""

EMPTY: Final = "when every access finds the per-CPU batches empty"
"""What a proof rests on where the batches are not kept."""

WAITING: Final = (
    "what lru_add_drain() does to pages of earlier accesses is compared with "
    "--set machine.lru_batch=true"
)
"""What is said of C beside another policy where the batches are not kept."""

COMPANY: Final = "whenever other pages fill or drain the per-CPU batches"

NOT_COMPARED: Final[Mapping[str, str]] = {
    "readahead_window": "how far they read ahead is not compared",
    "swapin_order": "which size they swap in is not compared",
}
"""What is said of policies that need not do the same where one page does not show it."""


def scope(
    machine: Machine,
    processes: int,
    operations: tuple[str, ...] | None,
    kernels: Sequence[str] = (),
) -> str:
    """How many processes, which operations and which machine.

    None: it does not matter which. `kernels` are those of the policies where they are not one
    and the same. Operations do not fill the swap device: beyond half of it, the
    kernel frees the swap cache of what it maps (vm_swap_full()).
    """
    mapped = "1 process maps" if processes == 1 else f"up to {processes} processes map"
    large = large_folios(machine.thp)
    if operations is None:
        by = "any of the operations of --ops"
    elif operations in (DEFAULT, tuple(chain(*map(on_targets, DEFAULT)))):
        by = "all operations of --ops"
        if any(follows(kernel, Rule.UFFD_RWP) for kernel in kernels or [machine.kernel]):
            by += f" but {' and '.join(ON_REQUEST)}"
    else:
        by = f"the operations {', '.join(together(without_company(operations)))}"
    settings = [each for each in _settings(unusual(machine)) if each != NO_READAHEAD]
    on = f"a machine with {', '.join(settings)}" if settings else "the default machine"
    if kernels:
        on += f", of the kernels {' and '.join(kernels)},"
    full = "" if operations is None else ", while no more than half of the swap is in use"
    if large and operations is not None:
        full = ", while slots of the swap device are handed out in order"
    if operations is not None:
        full += f", {COMPANY if machine.lru_batch else EMPTY}"
    what = "one block of four pages" if large else "one page"
    return f"for {what} that {mapped}, with {by}, on {on} without read-ahead{full}"


def together(letters: Iterable[str]) -> Iterator[str]:
    """Each operation once, with all that stands behind `@`."""
    for name, group in groupby(letters, lambda letter: letter.partition("@")[0]):
        targets = "/".join(letter.partition("@")[2] for letter in group)
        yield f"{name}@{targets}" if targets else name


def _settings(machine: Mapping[str, Any], prefix: str = "machine") -> Iterator[str]:
    for key, value in machine.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}={str(value).lower() if isinstance(value, bool) else value}"


def not_compared(policies: Sequence[Policy], large: bool = False) -> list[str]:
    """What not all certainly do alike: by the default, or alone. Of others that have one function
    in common it need not be so: it may look at the object."""
    said = []
    for method, words in NOT_COMPARED.items():
        functions = (getattr(getattr(each, method), "__func__", None) for each in policies)
        own = method == "readahead_window" and any(ROOT in each.functions for each in policies)
        other = any(each is not getattr(Policy, method) for each in functions)
        if len(policies) > 1 and (own or other) and not (large and method == "swapin_order"):
            said.append(words)
    return said


def unusual(machine: Machine) -> dict[str, Any]:
    """The settings of a machine that are not the default."""
    usual = machine_mapping(Machine(thp=machine.thp))
    return dict(_unusual(machine_mapping(machine), {**usual, "thp": {}}))


def _unusual(ours: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in ours.items():
        if isinstance(value, Mapping):
            inner = dict(_unusual(value, usual[key]))
            if inner:
                yield key, inner
        elif value != usual.get(key):
            yield key, value
