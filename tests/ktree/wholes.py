"""The small trees whose functions are interpreted whole, and edits of them, for the tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from tests.commandline import run
from tests.ktree.making import MEMORY

SMALL = Path(__file__).parent / "whole"

KERNELS = {"before": "6.12", "after": "7.3"}

Write = Callable[[str, str], Path]
"""Makes a tree of the name of a small one and another text."""

OPS = "read,write,pageout,fork,exit"

FEW = ("--processes", "1", "--ops", "read,write,pageout")
"""For what an exploration says before it begins."""

FREES = """\
	if (should_try_to_free_swap(folio, vma, vmf->flags))
		folio_free_swap(folio);
"""
FREES_LATER = FREES.replace("(folio, vma, vmf", "(si, folio, vma, exclusive, vmf")
SETS = "	set_ptes(vma->vm_mm, vmf->address, vmf->pte, pte, 1);\n"
THROTTLES = "	folio_throttle_swaprate(folio, GFP_KERNEL);\n"


LATE = "	if (!folio_test_lru(folio))\n		lru_add_drain();\n	if (folio_ref"
REFUSES = "	if (folio_ref_count(folio) > {})\n		return false;\n"
EARLY = {
    "before": (LATE, REFUSES.format("3") + LATE),
    "after": (
        LATE,
        REFUSES.format("1 + !folio_test_lru(folio) + folio_test_swapcache(folio)") + LATE,
    ),
}
"""What a kernel asks before it drains, and the small trees do not."""


def text_of(name: str) -> str:
    return (SMALL / name / MEMORY).read_text()


def edited(name: str, *edits: tuple[str, str]) -> str:
    """The mm/memory.c of a small tree with the first of each old text replaced."""
    text = text_of(name)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Makes a tree of a text, in place of one of the small trees."""

    def write(name: str, text: str) -> Path:
        tree = Path(shutil.copytree(SMALL / name, tmp_path / f"linux-{name}"))
        (tree / MEMORY).write_text(text)
        return tree

    return write


def explored(
    one: object,
    other: object,
    kernel: str,
    backend: str = "zram",
    what: Sequence[str] = ("--ops", OPS),
) -> Result:
    pair = ",".join(
        str(each) if "/" not in str(each) else f"kernel:{each}" for each in (one, other)
    )
    machine = ("--set", f"machine.kernel={kernel}", "--set", f"machine.swap.backend={backend}")
    return run("explore", "--policies", pair, *machine, *what)
