"""Does C of a few statements see large folios as they are?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.csource.frame import Evaluation, free_swap_frame
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs
from tests.commandline import run

SWAPIN = """\
if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);
if (exclusive || folio_ref_count(folio) == {}) {{
	if (vmf->flags & FAULT_FLAG_WRITE) {{
		pte = maybe_mkwrite(pte_mkdirty(pte), vma);
		vmf->flags &= ~FAULT_FLAG_WRITE;
	}}
	rmap_flags |= RMAP_EXCLUSIVE;
}}
"""

WORDS = ("--processes", "1", "--ops", "read", "--set", "machine.thp=16KiB")


def explored(tmp_path: Path, one: str, other: str) -> tuple[int, str]:
    """The exit code and the output, of what a count of references is compared with."""
    files = [tmp_path / "one.c", tmp_path / "other.c"]
    for file, count in zip(files, (one, other), strict=True):
        file.write_text(SWAPIN.format(count))
    done = run("explore", "--policies", ",".join(map(str, files)), *WORDS)
    return done.exit_code, done.output


@pytest.mark.parametrize("other", ["folio_nr_pages(folio)", "1 + folio_test_large(folio)"])
def test_policies_that_ask_for_the_size_are_not_proved_equal(other: str, tmp_path: Path) -> None:
    """To one that does not, by equal decisions, where memory comes in large folios?"""
    assert "by equal decisions" not in explored(tmp_path, "1", other)[1]
    code, said = explored(tmp_path, "1", "(1 + 0)")
    assert (code, "proof by equal decisions" in said) == (0, True)


def test_how_much_of_a_folio_is_mapped_is_not_told(tmp_path: Path) -> None:
    """Is a policy that asks for it never proved equal to one that does not?"""
    assert "by equal decisions" not in explored(tmp_path, "1", "nr_pages")[1]


def test_each_page_of_a_folio_in_the_swap_cache_is_a_reference() -> None:
    """Does none of them wait in a batch, and do all go with the cache?"""
    folio = FolioRefs.of(2, 0, mlocked=False, held=1, nr_pages=4)
    frame: Evaluation = free_swap_frame({}, folio, Vma(), swap_full=False)
    assert (frame.batched, frame.expected(), frame.ref_count) == (0, 6, 7)
    assert frame.free_swap()
    assert (frame.expected(), frame.ref_count) == (2, 3)
