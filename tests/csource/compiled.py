"""Policies in C as a compiler understands them: one program that answers questions.

It reads a question a line, as integers, and prints what each policy answers to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from swaptrace.csource.block import Point
from swaptrace.csource.cfile import blocks_of
from swaptrace.csource.ignored import ALL_IGNORED
from swaptrace.csource.kinds import FAULT_FLAGS, RESULTS, RMAP_FLAGS, VM_FLAGS, vm_flags
from swaptrace.csource.preprocess import MODELLED
from swaptrace.exploration.decisions import Question
from swaptrace.mm.policy import FolioRefs, SwapinFault, SwapinPte
from swaptrace.verify.build import Compiler
from tests.processes import completed

HEADER = Path(__file__).parent / "kernel.h"

SWAPIN = """
static int swapin_{number}(unsigned long vm_flags, int write, pte_t entry, int exclusive_now)
{{
	struct vm_area_struct area = {{ .vm_flags = vm_flags }}, *vma = &area;
	struct folio *folio = &the_folio, *swapcache = folio;
	struct page *page = &folio->page;
	struct vm_fault fault = {{ .vma = vma, .page = page, .flags = write, .orig_pte = entry }};
	struct vm_fault *vmf = &fault;
	bool exclusive = exclusive_now;
	rmap_t rmap_flags = RMAP_NONE;
	vm_fault_t ret = 0;
	unsigned long page_idx = 0, address = 0;
	int nr_pages = 1;
	pte_t pte = made, *ptep = NULL;

	if (exclusive && !entry.exclusive)
		swapcache = NULL;
	is_published = false;
	mapped = -1;
{{
{text}
;
}}
	if (is_published)
		pte = published;
	if (mapped < 0)
		mapped = rmap_flags & RMAP_EXCLUSIVE;
	write = write && !(fault.flags & FAULT_FLAG_WRITE);
	return pte.write | pte.dirty << 1 | pte.soft_dirty << 2 | pte.uffd_wp << 3 | write << 4 |
		(mapped != 0) << 5;
}}
"""

MAIN = """
int main(void)
{{
	int kind, write, exclusive, mapcount, ref_count, swapcache, swap_count, mlocked, ksm;
	int swap_full, e, s, u;
	unsigned long flags;

	while (scanf("%d %lu %d %d %d %d %d", &kind, &flags, &write, &e, &s, &u, &exclusive) == 7 &&
		scanf("%d %d %d %d %d %d %d", &mapcount, &ref_count, &swapcache, &swap_count, &mlocked,
			&ksm, &swap_full) == 7) {{
		pte_t entry = {{ .exclusive = e, .soft_dirty = s, .uffd_wp = u }};
{calls}
		printf("\\n");
	}}
	return 0;
}}
"""

CALL = """
		facts.mapcount = mapcount, facts.ref_count = ref_count, facts.swapcache = swapcache;
		facts.swap_count = swap_count, facts.mlocked = mlocked, facts.ksm = ksm;
		facts.swap_full = swap_full;
		facts.batched = ref_count - mapcount - swapcache - (kind != 2);
		if (facts.batched < 0 || kind == 2)
			facts.batched = 0;
		if (kind == {kind})
			printf("%d ", (int)({call}));
"""

KINDS: Mapping[str, int] = {"swapin_pte": 0, "should_free_swap": 1, "can_reuse_anon": 2}


def program(texts: Sequence[str]) -> str:
    """The source of a program that answers as each of the texts of policies says."""
    constants = {**VM_FLAGS, **FAULT_FLAGS, **RMAP_FLAGS, **RESULTS, **dict.fromkeys(MODELLED, 1)}
    defined = [f"#define {name} {value}" for name, value in constants.items()]
    defined += [f"#define {name}(...) ((void)0)" for name in sorted(ALL_IGNORED)]
    functions, calls = [], []
    for number, text in enumerate(texts):
        for point, block in blocks_of("it.c", text, ()).items():
            function, call = _function(point, block.text, number)
            functions.append(function)
            calls.append(CALL.format(kind=KINDS[point], call=call))
    main = MAIN.format(calls="".join(calls))
    return "\n".join([*defined, HEADER.read_text(), *functions, main])


def _function(point: Point, text: str, number: int) -> tuple[str, str]:
    """The C of a decision under a name of its own, and its call."""
    if point == "swapin_pte":
        return (
            SWAPIN.format(number=number, text=text),
            f"swapin_{number}(flags, write, entry, exclusive)",
        )
    area = "&(struct vm_area_struct){ .vm_flags = flags }"
    if point == "should_free_swap":
        name = "should_try_to_free_swap"
        return text.replace(name, f"free_{number}"), f"free_{number}(&the_folio, {area}, write)"
    name = "wp_can_reuse_anon_folio"
    return text.replace(name, f"reuse_{number}"), f"reuse_{number}(&the_folio, {area})"


def answers(
    texts: Sequence[str], questions: Sequence[Question], compiler: Compiler, directory: Path
) -> Iterator[list[int]]:
    """What the compiled policies answer to each question, those that take the decision."""
    binary = compiler.build(program(texts), directory, "policies")
    asked = "".join(f"{' '.join(map(str, _integers(each)))}\n" for each in questions)
    done = completed([binary], stdin=asked, text=True, check=True)
    return ([int(word) for word in line.split()] for line in done.stdout.splitlines())


def _integers(question: Question) -> list[int]:
    kind = KINDS[question.method]
    if kind == 0:
        fault: SwapinFault = question.arguments[0]
        entry = (fault.orig.exclusive, fault.orig.soft_dirty, fault.orig.uffd_wp)
        facts = (fault.write, *entry, fault.exclusive, *_folio(fault.folio), False)
        return [kind, vm_flags(fault.vma), *map(int, facts)]
    if kind == 1:
        folio, vma, write, full = question.arguments
        return [kind, vm_flags(vma), int(write), 0, 0, 0, 0, *_folio(folio), int(full)]
    return [kind, 0, 1, 0, 0, 0, 0, *_folio(question.arguments[0]), 0]


def _folio(folio: FolioRefs) -> list[int]:
    *told, _pins, _nr_pages, ksm = folio  # C is not told what pins hold, and folios have one page
    return [int(of) for of in (*told, ksm)]


def packed(answer: object) -> int:
    """An answer as the program prints it."""
    if not isinstance(answer, SwapinPte):
        return int(bool(answer))
    _, *bits = answer.pte
    flags = [*bits, answer.write_handled, answer.exclusive]
    return sum(int(flag) << number for number, flag in enumerate(flags))
