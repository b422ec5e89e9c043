"""What a value in C can be, as far as the model goes, and the flags and constants it knows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final

from swaptrace.mm.column import Vma


class ValueKind(Enum):
    """The kinds, in the words of messages."""

    INT = "an integer"
    PTE = "a present PTE"
    SWAP = "the swap PTE"
    MIXED = "a present PTE on one path and the swap PTE on another"
    FOLIO = "a folio"
    PAGE = "a page"
    VMA = "a VMA"
    VMF = "a struct vm_fault"
    VM_FLAGS = "flags of vma->vm_flags"
    FAULT_FLAGS = "flags of vmf->flags"
    RMAP = "flags of rmap_flags"
    RESULT = "flags of a vm_fault_t"
    NULL = "NULL"
    OPAQUE = "a value that the model does not have"
    VOID = "no value"


FLAG_KINDS: Final = frozenset(
    {ValueKind.VM_FLAGS, ValueKind.FAULT_FLAGS, ValueKind.RMAP, ValueKind.RESULT}
)

POINTERS: Final = frozenset(
    {ValueKind.FOLIO, ValueKind.PAGE, ValueKind.VMA, ValueKind.VMF, ValueKind.NULL}
)

TRUTHS: Final = FLAG_KINDS | POINTERS | {ValueKind.INT}
"""What a condition may be."""

VM_FLAGS: Final[Mapping[str, int]] = {
    "VM_NONE": 0,
    "VM_READ": 0x1,
    "VM_WRITE": 0x2,
    "VM_SHARED": 0x8,
    "VM_MAYREAD": 0x10,
    "VM_MAYWRITE": 0x20,
    "VM_MAYSHARE": 0x80,
    "VM_PFNMAP": 0x400,
    "VM_UFFD_WP": 0x1000,
    "VM_LOCKED": 0x2000,
    "VM_HUGETLB": 0x400000,
    "VM_SOFTDIRTY": 0x8000000,
    "VM_MIXEDMAP": 0x10000000,
}

FAULT_FLAGS: Final[Mapping[str, int]] = {"FAULT_FLAG_WRITE": 0x1, "FAULT_FLAG_UNSHARE": 0x400}

RMAP_FLAGS: Final[Mapping[str, int]] = {"RMAP_NONE": 0, "RMAP_EXCLUSIVE": 0x1}

RESULTS: Final[Mapping[str, int]] = {
    "VM_FAULT_OOM": 0x1,
    "VM_FAULT_SIGBUS": 0x2,
    "VM_FAULT_MAJOR": 0x4,
    "VM_FAULT_WRITE": 0x8,
    "VM_FAULT_RETRY": 0x400,
}

CONSTANTS: Final[Mapping[str, tuple[ValueKind, int]]] = {
    **{name: (ValueKind.VM_FLAGS, bits) for name, bits in VM_FLAGS.items()},
    **{name: (ValueKind.FAULT_FLAGS, bits) for name, bits in FAULT_FLAGS.items()},
    **{name: (ValueKind.RMAP, bits) for name, bits in RMAP_FLAGS.items()},
    **{name: (ValueKind.RESULT, bits) for name, bits in RESULTS.items()},
    "true": (ValueKind.INT, 1),
    "false": (ValueKind.INT, 0),
    "NULL": (ValueKind.NULL, 0),
}

OTHER_VM_FLAGS: Final = (1 << 64) - 1 & ~sum(VM_FLAGS.values())
"""Those that a VMA may have and the model has not, and below those of a fault."""

OTHER_FAULT_FLAGS: Final = (1 << 32) - 1 & ~sum(FAULT_FLAGS.values())

WRITE: Final = FAULT_FLAGS["FAULT_FLAG_WRITE"]
UNSHARE: Final = FAULT_FLAGS["FAULT_FLAG_UNSHARE"]
EXCLUSIVE: Final = RMAP_FLAGS["RMAP_EXCLUSIVE"]


@lru_cache(maxsize=64)
def vm_flags(vma: Vma) -> int:
    """vma->vm_flags of a private anonymous mapping."""
    names = {
        "VM_READ": vma.readable,
        "VM_WRITE": vma.writable,
        "VM_LOCKED": vma.locked,
        "VM_UFFD_WP": vma.uffd_wp,
        "VM_SOFTDIRTY": vma.soft_dirty,
        "VM_MAYREAD": True,
        "VM_MAYWRITE": True,
    }
    return sum(VM_FLAGS[name] for name, held in names.items() if held)
