"""Every advice of madvise(2) that a scenario may give: one table, a line an advice.

The parser and the JSON Schema take the names from it, the replays what an advice does and whom it
is refused, importers and the fuzzer which there are, `emit-c` the numbers, `explain` the words, the
documentation the table. What an advice is to the model is its `Effect`; who acts on it matches on
that, all of them, so that a new one is an error wherever nobody has thought of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from swaptrace.kernels import Version
from swaptrace.vmflags import NO_FLAGS, VmFlag


class Effect(Enum):
    """Which operation of the model an advice is."""

    PAGEOUT = "reclaims the pages at once"
    COLD = "makes the pages the next to be reclaimed"
    ZAP = "frees the pages"
    GUARD_INSTALL = "frees the pages and makes access fatal"
    GUARD_REMOVE = "allows access again"
    FREE = "lets reclaim drop the pages without swapping"
    SWAP_IN = "reads the pages into the swap cache"
    POPULATE_READ = "faults the pages in for reading"
    POPULATE_WRITE = "faults the pages in for writing"
    COLLAPSE = "makes a large folio of 2 MiB of pages"
    FLAGS = "changes a VMA flag; VMAs merge only if they agree in it"
    REMOVE = "frees shared pages for all processes"
    UNMERGE = "clears the VMA flag and copies merged pages"


class On(Enum):
    """A kind of VMA that an advice is refused on."""

    LOCKED = "locked"
    UNREADABLE = "without PROT_READ"
    UNWRITABLE = "without PROT_WRITE"
    OBJECT = "shared memory and files"
    ANONYMOUS = "private anonymous"
    PRIVATE = "not shared"


class Refusal(NamedTuple):
    """What madvise(2) returns on such a VMA."""

    on: On
    errno: str


class AdviceInfo(NamedTuple):
    """What is known of an advice: its number in `<linux/mman.h>`, the kernel that brought it and in
    which commit, what it is to the model, on which VMAs it is refused, the flags that it sets and
    clears, and whether it may be given for another process (process_madvise_remote_valid())."""

    number: int
    since: Version
    commit: str
    effect: Effect
    refused: tuple[Refusal, ...] = ()
    sets: VmFlag = NO_FLAGS
    clears: VmFlag = NO_FLAGS
    remote: bool = False


def flags(
    number: int,
    since: Version,
    sets: VmFlag,
    clears: VmFlag,
    commit: str = "",
    refused: tuple[Refusal, ...] = (),
) -> AdviceInfo:
    """An advice that is a flag of the VMA, or takes one away."""
    return AdviceInfo(number, since, commit, Effect.FLAGS, refused, sets, clears)


NOT_LOCKED: Final = (Refusal(On.LOCKED, "EINVAL"),)


class Advice(Enum):
    """The advice, by name without MADV_ (madvise_vma_behavior(), madvise_populate())."""

    NORMAL = flags(0, (2, 4), NO_FLAGS, VmFlag.RAND_READ | VmFlag.SEQ_READ)
    RANDOM = flags(1, (2, 4), VmFlag.RAND_READ, VmFlag.SEQ_READ)
    SEQUENTIAL = flags(2, (2, 4), VmFlag.SEQ_READ, VmFlag.RAND_READ)
    WILLNEED = AdviceInfo(3, (2, 4), "", Effect.SWAP_IN, remote=True)
    DONTNEED = AdviceInfo(4, (2, 4), "", Effect.ZAP, NOT_LOCKED)
    FREE = AdviceInfo(
        8, (4, 5), "854e9ed09ded", Effect.FREE, (*NOT_LOCKED, Refusal(On.OBJECT, "EINVAL"))
    )
    REMOVE = AdviceInfo(
        9,
        (2, 6),
        "f6b3ec238d12",
        Effect.REMOVE,
        (*NOT_LOCKED, Refusal(On.ANONYMOUS, "EINVAL"), Refusal(On.PRIVATE, "EACCES")),
    )
    MERGEABLE = flags(12, (2, 6), VmFlag.MERGEABLE, NO_FLAGS, "f8af4da3b4c1")
    UNMERGEABLE = AdviceInfo(13, (2, 6), "f8af4da3b4c1", Effect.UNMERGE, clears=VmFlag.MERGEABLE)
    DONTFORK = flags(10, (2, 6), VmFlag.DONTCOPY, NO_FLAGS)
    DOFORK = flags(11, (2, 6), NO_FLAGS, VmFlag.DONTCOPY)
    HUGEPAGE = flags(14, (2, 6), VmFlag.HUGEPAGE, VmFlag.NOHUGEPAGE)
    NOHUGEPAGE = flags(15, (2, 6), VmFlag.NOHUGEPAGE, VmFlag.HUGEPAGE)
    DONTDUMP = flags(16, (3, 4), VmFlag.DONTDUMP, NO_FLAGS)
    DODUMP = flags(17, (3, 4), NO_FLAGS, VmFlag.DONTDUMP)
    WIPEONFORK = flags(
        18,
        (4, 14),
        VmFlag.WIPEONFORK,
        NO_FLAGS,
        "d2cd9ede6e19",
        (Refusal(On.OBJECT, "EINVAL"),),
    )
    KEEPONFORK = flags(19, (4, 14), NO_FLAGS, VmFlag.WIPEONFORK, "d2cd9ede6e19")
    COLD = AdviceInfo(20, (5, 4), "9c276cc65a58", Effect.COLD, NOT_LOCKED, remote=True)
    PAGEOUT = AdviceInfo(21, (5, 4), "1a4e58cce84e", Effect.PAGEOUT, NOT_LOCKED, remote=True)
    POPULATE_READ = AdviceInfo(
        22,
        (5, 14),
        "4ca9b3859dac",
        Effect.POPULATE_READ,
        (Refusal(On.UNREADABLE, "EINVAL"),),
    )
    POPULATE_WRITE = AdviceInfo(
        23,
        (5, 14),
        "4ca9b3859dac",
        Effect.POPULATE_WRITE,
        (Refusal(On.UNWRITABLE, "EINVAL"),),
    )

    DONTNEED_LOCKED = AdviceInfo(24, (5, 18), "9457056ac426", Effect.ZAP)
    COLLAPSE = AdviceInfo(25, (6, 1), "7d8faaf15545", Effect.COLLAPSE, remote=True)
    GUARD_INSTALL = AdviceInfo(102, (6, 13), "662df3e5c376", Effect.GUARD_INSTALL, NOT_LOCKED)
    GUARD_REMOVE = AdviceInfo(103, (6, 13), "662df3e5c376", Effect.GUARD_REMOVE)

    def __str__(self) -> str:
        """As the kernel's headers call it."""
        return f"{PREFIX}{self.name}"

    @property
    def number(self) -> int:
        """In `<linux/mman.h>`."""
        return self.value.number

    @property
    def since(self) -> Version:
        """The first kernel that has it."""
        return self.value.since

    @property
    def effect(self) -> Effect:
        """What it is to the model."""
        return self._value_.effect  # `value` is slow, and this is asked for each VMA

    @property
    def populates(self) -> bool:
        """Whether the kernel faults pages in for it."""
        return self.effect in (Effect.POPULATE_READ, Effect.POPULATE_WRITE)


PREFIX: Final = "MADV_"

BY_NAME: Final[dict[str, Advice]] = {str(advice): advice for advice in Advice}

NOT_MODELLED: Final[tuple[str, ...]] = tuple(
    f"{PREFIX}{name}" for name in ("HWPOISON", "SOFT_OFFLINE")
)
"""What the kernel has, and the model has not."""

TAKEN: Final = frozenset({100, 101, *(advice.number for advice in Advice)})
"""The numbers of all, those of `NOT_MODELLED` first."""
