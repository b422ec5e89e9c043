"""The sizes of large folios, and the huge pages of hugetlbfs, that a scenario wants, as settings of
the kernel that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from swaptrace.advice import Advice
from swaptrace.scenario.schema import MadviseStep, MlockallStep, MmapStep, Scenario
from swaptrace.scenario.thp import ThpInherited, ThpSize, large_folios, sizes
from swaptrace.scenario.values import LENGTH
from swaptrace.verify.leaves import written
from swaptrace.verify.needs import needs, populates

DIRECTORY: Final = Path("/sys/kernel/mm/transparent_hugepage")
HUGE_PAGES: Final = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def kib(size: ThpSize) -> int:
    """The number in the name of its directory."""
    return LENGTH(size) >> 10


def enabled(size: ThpSize) -> Path:
    """The file that says where folios of a size are used."""
    return DIRECTORY / f"hugepages-{kib(size)}kB" / "enabled"


def selected(text: str) -> str:
    """The text of a setting; of a file that lists what it can be set to, the word in brackets."""
    return text.partition("[")[2].partition("]")[0] or text.strip()


def advises_regions(scenario: Scenario) -> bool:
    """Whether the program gives MADV_HUGEPAGE to each region, and `always` is set as `madvise`.

    So the rest of the machine goes on as it was, and what it allocates is not counted. Not where
    it could be seen: under a memory limit, where a fault reclaims for a large folio only with that
    advice, or where the scenario itself gives it, or has a region faulted in as it is mapped.
    """
    if not large_folios(scenario.machine.thp) or scenario.machine.memory is not None:
        return False
    return not any(
        (isinstance(step, MlockallStep) and "MCL_FUTURE" in step.flags)
        or (isinstance(step, MmapStep) and populates(step))
        or (isinstance(step, MadviseStep) and step.advice is Advice.HUGEPAGE)
        for step in written(scenario.steps)
    )


def settings(scenario: Scenario) -> Mapping[ThpSize, ThpInherited]:
    """What each size is to be set to; nothing for a scenario without large folios."""
    if not large_folios(scenario.machine.thp):
        return {}
    said: dict[ThpSize, ThpInherited] = dict.fromkeys(get_args(ThpSize), "never")
    said |= dict(sizes(scenario.machine.thp))
    if advises_regions(scenario):
        return {size: "madvise" if said[size] == "always" else "never" for size in said}
    return said


def files(scenario: Scenario) -> dict[Path, str]:
    """The same by file, as far as the kernel has them, and how many huge pages hugetlbfs has."""
    found: dict[Path, str] = {}
    for size, word in settings(scenario).items():
        found[enabled(size)] = word
    if needs(scenario).huge_pages:
        found[HUGE_PAGES] = str(scenario.machine.hugepages)
    return {path: word for path, word in found.items() if path.exists()}
