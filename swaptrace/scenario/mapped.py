"""How the steps are read that make or move mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from swaptrace.scenario import values
from swaptrace.scenario.fields import StepFields
from swaptrace.scenario.remap import MremapStep, RemapFlag
from swaptrace.scenario.schema import HUGE_PAGE, MmapStep
from swaptrace.scenario.values import Reader

FILE: Final[Mapping[str, Reader[Any]]] = {
    "name": values.name,
    "size": values.LENGTH,
    "offset": values.OFFSET,
}
"""The parts of a file."""


def mmap(f: StepFields) -> MmapStep:
    file = f.in_parts("file", FILE)
    step = MmapStep(
        **f.base(),
        region=f.name(),
        size=whole_pages(f, "size"),
        prot=f.get("prot", values.PROT, "rw"),
        at=aligned(f, "at"),
        offset=f.part("offset", values.OFFSET, 0),
        flags=f.flags("flags", values.MAP_FLAG),
        shared=f.get("shared", values.boolean, False),
        file=file.get("name"),
        file_size=file.get("size"),
        file_offset=file.get("offset") or 0,
    )
    if step.huge:
        check_huge(f, step)
    return step


def check_huge(f: StepFields, step: MmapStep) -> None:
    """Report what is not modelled of a mapping of huge pages."""
    for key, number in (("size", step.size), ("at", step.at or 0)):
        if number % HUGE_PAGE:
            f.wrong(key, f"{values.human(number)} is not a multiple of a huge page, 2MiB")
    others = [flag for flag in step.flags if flag not in ("MAP_HUGETLB", "MAP_NORESERVE")]
    if others:
        f.wrong("flags", f"MAP_HUGETLB with {others[0]} is not modelled; leave one of them out")
    if step.file is not None and not step.shared:
        f.wrong("file", "a file of hugetlbfs is modelled only where it is shared")
    if step.file_size is not None or step.file_offset:
        what = "a file of hugetlbfs is as large as its mapping"
        f.wrong("file", f"{what}; leave its size and the offset out")


def mremap(f: StepFields) -> MremapStep:
    step = MremapStep(
        **f.base(),
        region=f.name(),
        size=whole_pages(f, "size"),
        to=aligned(f, "to"),
        name=f.get("as", values.name, None),
        flags=f.flags("flags", values.REMAP_FLAG),
    )
    need_each_other(f, step, "to", "MREMAP_FIXED", "the address that the region goes to")
    need_each_other(
        f, step, "as", "MREMAP_DONTUNMAP", "the name of the region that the pages become"
    )
    return step


def need_each_other(
    f: StepFields, step: MremapStep, key: str, flag: RemapFlag, meaning: str
) -> None:
    """Report a key without the flag that gives it a meaning, or the flag without it."""
    given = flag in step.flags
    if given and key not in f.entries:
        f.report.add(f.mark, f"mremap: {flag} needs {key!r}, {meaning}")
    elif key in f.entries and not given:
        f.wrong(key, f"means nothing without {flag}; give it in 'flags'")


def whole_pages(f: StepFields, key: str) -> int:
    """A size, rounded up to pages."""
    size = f.require(key, f.sizes, 0)
    return -(-size // f.page_size) * f.page_size


def aligned(f: StepFields, key: str) -> int | None:
    """An address that a mapping may have; if the system call is to fail, any."""
    at = f.get(key, values.address, None)
    if at is not None and at % f.page_size and "errno" not in f.entries:
        f.wrong(key, f"{at:#x} is not a multiple of the page size, {values.human(f.page_size)}")
        return None
    return at
