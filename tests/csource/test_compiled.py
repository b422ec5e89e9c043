"""Does C mean to the interpreter what it means to a compiler?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from swaptrace import policies
from swaptrace.exploration.decisions import questions
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import Policy, ask
from swaptrace.verify.build import find_compiler
from tests.csource.compiled import answers, packed
from tests.csource.reading import read
from tests.effort import exhaustive
from tests.verify.test_emit import needs_compiler

TWINS = Path(__file__).parent / "twins"

INTEGERS = (
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "nr_pages",
    "folio_ref_count(folio)",
    "folio_mapcount(folio)",
)
TRUTHS = (
    "exclusive",
    "c",
    "vmf->flags & FAULT_FLAG_WRITE",
    "rmap_flags & RMAP_EXCLUSIVE",
    "vma->vm_flags & VM_WRITE",
    "!(vma->vm_flags & (VM_LOCKED | VM_UFFD_WP))",
    "(vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE",
    "pte_write(pte)",
    "pte_dirty(pte)",
    "pte_soft_dirty(saved)",
    "pte_uffd_wp(pte)",
    "pte_swp_soft_dirty(vmf->orig_pte)",
    "pte_swp_uffd_wp(vmf->orig_pte)",
    "pte_swp_exclusive(vmf->orig_pte)",
    "userfaultfd_pte_wp(vma, pte)",
    "vma_soft_dirty_enabled(vma)",
    "pte_needs_soft_dirty_wp(vma, saved)",
    "folio_test_swapcache(folio)",
    "folio_test_lru(folio)",
    "folio != swapcache",
    "swapcache",
)
PTES = (
    "pte_mkwrite(pte, vma)",
    "pte_mkwrite(saved)",
    "pte_mkdirty(pte)",
    "pte_mksoft_dirty(pte)",
    "pte_mkuffd_wp(pte)",
    "pte_wrprotect(pte)",
    "pte_clear_uffd_wp(pte)",
    "pte_mkclean(saved)",
    "maybe_mkwrite(pte_mkdirty(pte), vma)",
    "mk_pte(page, vma->vm_page_prot)",
)


class Writer:
    """Writes C at random: types are right, no integer is large, and every goto goes forward."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ahead: list[str] = []

    def program(self) -> str:
        labels = [f"l{number}" for number in range(3)]
        text = "int a = 3, b = -2; bool c = exclusive; u8 d = 7; pte_t saved = pte;\n"
        text += "unsigned int e = 5; unsigned long f = 2; long g = -4;\n"
        for number, label in enumerate(labels):
            self.ahead = labels[number:]
            text += self.statements(3) + f"{label}:\n"
        self.ahead = []
        return text + self.statements(3)

    def statements(self, depth: int) -> str:
        return "".join(self.statement(depth) for _ in range(self.random.randint(1, 4)))

    def statement(self, depth: int) -> str:
        kinds = ["pte", "pte", "saved", "flags", "rmap", "number", "truth", "reference"]
        kinds += ["if", "if", "else", "block"] * (depth > 0) + ["goto"] * bool(self.ahead)
        match self.random.choice(kinds):
            case "pte":
                return f"pte = {self.random.choice(PTES)};\n"
            case "saved":
                return f"saved = {self.truth(1)} ? pte : {self.random.choice(PTES)};\n"
            case "flags":
                return "vmf->flags &= ~FAULT_FLAG_WRITE;\n"
            case "rmap":
                rest = ("|= RMAP_EXCLUSIVE", "&= ~RMAP_EXCLUSIVE", "^= RMAP_EXCLUSIVE", "= 0")
                return f"rmap_flags {self.random.choice(rest)};\n"
            case "number":
                name, sign = self.random.choice("abdefg"), self.random.choice(["", "+", "^", "-"])
                return f"{name} {sign}= {self.number(2)} % 16;\n"
            case "truth":
                return f"{self.random.choice(['c', 'exclusive'])} = {self.truth(2)};\n"
            case "reference":
                calls = ("folio_get(folio)", "folio_put(folio)", "lru_add_drain()")
                return f"{self.random.choice(calls)};\n"
            case "if":
                return f"if ({self.truth(2)})\n{{ {self.statements(depth - 1)} }}\n"
            case "else":
                yes, no = self.statement(depth - 1), self.statement(depth - 1)
                return f"if ({self.truth(2)}) {{ {yes} }} else {{ {no} }}\n"
            case "block":
                return f"{{ int a = b; pte_t saved = pte; {self.statements(depth - 1)} }}\n"
            case _:
                return f"if ({self.truth(1)}) goto {self.random.choice(self.ahead)};\n"

    def number(self, depth: int) -> str:
        if depth == 0 or self.random.random() < 0.2:
            return self.random.choice([*INTEGERS, str(self.random.randint(0, 9))])
        one, other = self.number(depth - 1), self.number(depth - 1)
        forms = [f"({one} {sign} {other})" for sign in ("+", "-", "*", "&", "|", "^", "<", "==")]
        forms += [f"({one} / 3)", f"({one} % 5)", f"(({one} & 7) << 2)", f"({one} >> 1)"]
        forms += [f"(-{one})", f"(~{one})", f"(!{one})", f"(u8)({one})", f"(s8)({one} * 50)"]
        forms += [f"({self.truth(0)} ? {one} : {other})"]
        return self.random.choice(forms)

    def truth(self, depth: int) -> str:
        if depth == 0 or self.random.random() < 0.3:
            return f"({self.random.choice(TRUTHS)})"
        one, other = self.truth(depth - 1), self.truth(depth - 1)
        forms = [f"({one} && {other})", f"({one} || {other})", f"(!{one})", f"(!!{one})"]
        forms += [f"({self.number(1)} {sign} {self.number(1)})" for sign in ("<", "!=", ">=", "==")]
        return self.random.choice(forms)


def check(texts: Sequence[str], step: int, directory: Path) -> int:
    """Compare the interpreter with the compiler on every `step`th question; how many answers."""
    read_ones: list[Policy] = [read(text) for text in texts]
    asked = list(questions(1, Facts()))[::step]
    compiled = answers(texts, asked, find_compiler(directory), directory)
    count = 0
    for question, found in zip(asked, compiled, strict=True):
        method, kind, arguments = question
        taking = [
            (number, each)
            for number, each in enumerate(read_ones)
            if getattr(type(each), method) is not getattr(Policy, method)
        ]
        expected = [packed(ask(each, method, kind, *arguments)) for _, each in taking]
        for (number, _), one, other in zip(taking, expected, found, strict=True):
            assert one == other, f"{question}, compiled {other}:\n{texts[number]}"
        count += len(found)
    return count


@needs_compiler
def test_the_twins(tmp_path: Path) -> None:
    """Do they answer alike when they are compiled?"""
    texts = [(TWINS / f"{name}.c").read_text() for name in policies.SERIES]
    assert check(texts, 97, tmp_path) > 7 * 350


@exhaustive
@needs_compiler
def test_random_c(tmp_path: Path) -> None:
    """Do conditions, integers, scopes, gotos and PTEs that nobody has thought of?"""
    texts = [Writer(Random(seed)).program() for seed in range(24)]
    assert check(texts, 409, tmp_path) > 24 * 80
