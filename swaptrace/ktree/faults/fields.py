"""The fields of structs that C may read and set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from swaptrace.csource.kinds import FAULT_FLAGS, VM_FLAGS, vm_flags
from swaptrace.csource.words import words
from swaptrace.ktree.faults.constants import STABLE_WRITES, SYNCHRONOUS_IO
from swaptrace.ktree.faults.fault import Fault
from swaptrace.ktree.faults.swapping import entry_of
from swaptrace.ktree.faults.values import PASSED_ON, Flags, Opaque, Pointer, SwapEntry

Read = Callable[[Fault, Any], Any]


class FieldOfFault:
    """One of struct vm_fault."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, fault: Fault, _struct: Any) -> Any:
        """What it holds."""
        return fault.fields[self.name]


class OpaqueField:
    """One that the model has no value for."""

    def __init__(self, name: str) -> None:
        self.value = next((each for each in PASSED_ON if each.field == name), Opaque(name))

    def __call__(self, _fault: Fault, _struct: Any) -> Opaque:
        """What stands for it."""
        return self.value


VM_KNOWN: Final = sum(VM_FLAGS.values())
"""What the model knows of each VMA, and below of each fault."""

FAULT_KNOWN: Final = sum(FAULT_FLAGS.values())


_flags: Final = cache(Flags)


def _fault_flags(fault: Fault, _vmf: Any) -> Flags:
    return _flags(fault.fields["flags"], FAULT_KNOWN, 32)


def _vm_flags(fault: Fault, _vma: Any) -> Flags:
    return _flags(vm_flags(fault.page.vma(fault.p)), VM_KNOWN)


def _device_flags(fault: Fault, _si: Any) -> Flags:
    """zram is synchronous and takes no writes under writeback (SWP_STABLE_WRITES)."""
    known = SYNCHRONOUS_IO | STABLE_WRITES
    return _flags(known if fault.page.facts.backend.synchronous_io else 0, known)


_OPAQUE: Final = {
    "vmf": words("address real_address pgoff pmd pud ptl gfp_mask"),
    "vma": words("vm_mm vm_page_prot vm_start vm_end vm_pgoff"),
    "folio": words("private index mapping"),
}
"""Fields that a struct has but the model has no value for."""

FIELDS: Final[Mapping[tuple[str, str], Read]] = {
    **{("vmf", name): FieldOfFault(name) for name in ("orig_pte", "vma", "page", "pte")},
    **{(kind, name): OpaqueField(name) for kind, names in _OPAQUE.items() for name in names},
    ("vmf", "flags"): _fault_flags,
    ("vma", "vm_flags"): _vm_flags,
    ("si", "flags"): _device_flags,
    ("folio", "page"): lambda _fault, page: page,
    ("folio", "swap"): entry_of,
    ("SwapEntry", "val"): lambda _fault, entry: Pointer("slot", entry.slot),
}
"""By what has them (`Pointer.kind`, or the type of a value)."""


KEPT: Final = frozenset({"orig_pte", "page", "pte"})
"""The fields of struct vm_fault that hold whatever C sets them to."""

UNKEPT: Final = frozenset({"private", "prealloc_pte"})
"""Fields that may be set, to no effect in the model."""


def store(fault: Fault, struct: Any, name: str, value: Any) -> bool:
    """Set a field; False if that is not one that C may set."""
    kind = struct.kind if isinstance(struct, Pointer) else ""
    if (kind, name) == ("vmf", "flags"):
        if not isinstance(value, Flags):
            return False
        fault.fields[name] = value.value
    elif kind == "vmf" and name in KEPT:
        fault.fields[name] = value
    elif kind == "folio" and name == "swap" and isinstance(value, SwapEntry):
        fault.entries[struct.number] = value
    elif name not in UNKEPT:
        return fault.store_field(struct, name, value)
    return kind in ("vmf", "folio")
