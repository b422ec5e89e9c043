"""What a line of the tables of functions says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from swaptrace.ktree.faults.fault import Fault

Run = Callable[..., Any]


class Primitive(NamedTuple):
    """A function of the kernel that the model has, and does not look into.

    `params` has a letter for each argument: `v` is evaluated and handed on, `_` is of no account
    and not looked at. The others must be what the model has but one of, and are an error if they
    are not: `V` the VMA, `M` the struct vm_fault, `P` the PTE, `f` a folio, `A` its address, `m`
    the mm, `d` the pmd, `p` vma->vm_page_prot, `0` and `1` that number. `run` takes the fault and
    the values; `constant` is the value where it is always the same, so that what it rules out need
    not be understood. `changes` says that it does something besides giving a value; `meaning` what
    it is taken for, `source` where the kernel has it.
    """

    params: str
    run: Run
    meaning: str
    source: str
    changes: bool = False
    constant: int | None = None


Table = dict[str, tuple[Primitive, ...]]
"""By name; several where versions of the kernel have it with different numbers of arguments."""


def always(value: int, params: str, meaning: str, source: str) -> tuple[Primitive, ...]:
    """A function whose value never changes; `params` may have alternatives (`_|__`)."""

    def run(_fault: Fault) -> int:
        return value

    return tuple(
        Primitive(each, run, meaning, source, constant=value) for each in params.split("|")
    )


def gives(params: str, run: Run, meaning: str, source: str) -> tuple[Primitive, ...]:
    """A function that looks."""
    return tuple(Primitive(each, run, meaning, source) for each in params.split("|"))


def does(params: str, run: Run, meaning: str, source: str) -> tuple[Primitive, ...]:
    """A function that changes the page."""
    return tuple(Primitive(each, run, meaning, source, changes=True) for each in params.split("|"))


PGTABLE: Final = "include/linux/pgtable.h"
X86: Final = "arch/x86/include/asm/pgtable.h"
"""The model's page tables are those of x86-64; pte_mkwrite() may be arm64's (mkwrite_dirties)."""
