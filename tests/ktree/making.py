"""Trees and patches for the tests: a tree in small, of C of this project."""

from __future__ import annotations

import shutil
from base64 import encodebytes
from collections.abc import Callable
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from quopri import encodestring

import pytest

from swaptrace import policies
from swaptrace.exploration.decisions import questions
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import Policy, ask

TREE = Path(__file__).parent / "tree"

MEMORY = "mm/memory.c"

Edit = Callable[[str], str]

RFC = """\
	if (exclusive || folio_ref_count(folio) == 1) {
		if (vma->vm_flags & VM_WRITE) {
			pte = pte_mkwrite(pte_mkdirty(pte), vma);
			vmf->flags &= ~FAULT_FLAG_WRITE;
		}
		rmap_flags |= RMAP_EXCLUSIVE;
	}
"""
"""Writable and dirty, whatever the fault was."""

BEFORE = """\
	if (exclusive || folio_ref_count(folio) == 1) {
		if (vmf->flags & FAULT_FLAG_WRITE) {
			pte = maybe_mkwrite(pte_mkdirty(pte), vma);
			vmf->flags &= ~FAULT_FLAG_WRITE;
		}
		rmap_flags |= RMAP_EXCLUSIVE;
	}
"""
"""Writable and dirty on a write fault alone."""

NOT_COMPILED = """\
#if TWICE_MAPPED || \\
    defined(CONFIG_KSM)
	pte = pte_wrprotect(pte);
#endif
"""
"""As the small tree has it: a patch that removes it changes more than a decision."""

CARRIED = """\
	if (pte_swp_soft_dirty(vmf->orig_pte))
		pte = pte_mksoft_dirty(pte);
	if (pte_swp_uffd_wp(vmf->orig_pte))
		pte = pte_wrprotect(pte_mkuffd_wp(pte));
"""
"""What the swap entry remembers, last: it write-protects."""


def between(text: str, first: str, last: str, new: str) -> str:
    """The text with `new` for what stands between the lines with `first` and with `last`."""
    lines = text.splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if first in line) + 1
    end = next(n for n in range(start, len(lines)) if last in lines[n])
    return "".join([*lines[:start], new, *lines[end:]])


def with_condition(condition: str) -> Edit:
    """mm/memory.c of the small tree with other statements between mk_pte() and rmap."""

    def edit(text: str) -> str:
        return between(
            text, "pte = mk_pte(", "page_add_anon_rmap(", condition + NOT_COMPILED + CARRIED
        )

    return edit


def diff(before: str, after: str, path: str = MEMORY, context: int = 3) -> str:
    """A unified diff as git writes it."""
    lines = unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
        n=context,
    )
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)


def edited(edit: Edit, path: str = MEMORY, tree: Path = TREE) -> str:
    """The diff that such an edit of a tree's file is."""
    text = (tree / path).read_text()
    return diff(text, edit(text), path)


def mail(subject: str, body: str, encoding: str = "8bit") -> str:
    """A mail of a mailbox, with its signature."""
    text = f"Why it is done.\n---\n{body}-- \n2.39.5\n\n"
    if encoding == "base64":
        text = encodebytes(text.encode()).decode()
    elif encoding == "quoted-printable":
        text = encodestring(text.encode()).decode()
    return (
        "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
        f"From: A Writer <writer@example.org>\nSubject: {subject}\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=UTF-8\n"
        f"Content-Transfer-Encoding: {encoding}\n\n{text}\n"
    )


def alike(one: Policy, name: str) -> bool:
    """Whether a policy answers as that of the series does; asked every 11th question."""
    other = policies.find(name)
    asked = islice(questions(1, Facts()), 0, None, 11)
    return all(ask(one, m, kind, *a) == ask(other, m, kind, *a) for m, kind, a in asked)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the small tree."""
    return Path(shutil.copytree(TREE, tmp_path / "linux"))
