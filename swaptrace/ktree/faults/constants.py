"""Names of C that stand for a number, as far as the functions of a fault need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from swaptrace.csource.kinds import CONSTANTS as FLAGS
from swaptrace.csource.kinds import VM_FLAGS

SYNCHRONOUS_IO: Final = 0x1000
"""SWP_SYNCHRONOUS_IO, and below SWP_STABLE_WRITES: bits of si->flags (include/linux/swap.h)."""

STABLE_WRITES: Final = 0x400

PAGE_NONE: Final = 0x120
"""The protection without access: _PAGE_PROTNONE and _PAGE_ACCESSED (pgtable_types.h of x86)."""

RESULTS: Final[Mapping[str, int]] = {
    "VM_FAULT_HWPOISON": 0x10,
    "VM_FAULT_HWPOISON_LARGE": 0x20,
    "VM_FAULT_SIGSEGV": 0x40,
    "VM_FAULT_NOPAGE": 0x100,
    "VM_FAULT_FALLBACK": 0x800,
    "VM_FAULT_ERROR": 0x1 | 0x2 | 0x40 | 0x10 | 0x20 | 0x800,
}
"""enum vm_fault_reason (include/linux/mm_types.h), beside those of `csource.kinds`."""

CONSTANTS: Final[Mapping[str, int]] = {
    **{name: bits for name, (_, bits) in FLAGS.items()},
    **RESULTS,
    "FAULT_FLAG_VMA_LOCK": 0x1000,
    "SWP_SYNCHRONOUS_IO": SYNCHRONOUS_IO,
    "SWP_STABLE_WRITES": STABLE_WRITES,
    "PAGE_SIZE": 4096,
    "PAGE_NONE": PAGE_NONE,
    "VMA_SHARED_BIT": VM_FLAGS["VM_SHARED"],
    "VMA_WRITE_BIT": VM_FLAGS["VM_WRITE"],
    "VMA_READ_BIT": VM_FLAGS["VM_READ"],
    "VMA_LOCKED_BIT": VM_FLAGS["VM_LOCKED"],
}
