"""Does C mean here what it means in the kernel?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.csource.block import CBlock
from swaptrace.csource.policy import policy_of
from swaptrace.errors import PolicyError
from swaptrace.mm.column import Pte, SwapPte, Vma
from swaptrace.mm.memory import DirtyingPte
from swaptrace.mm.policy import FolioRefs
from tests.csource.reading import ALONE, fault, read, swapin, value
from tests.effort import examples

OPERATORS = ("+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=")


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, st.sampled_from(OPERATORS), inner)
    one = st.tuples(st.sampled_from(["-", "~", "+"]), inner)
    return st.one_of(two, one).map(lambda parts: f"({' '.join(parts)})")


EXPRESSIONS = st.recursive(st.integers(0, 40).map(str), _compound, max_leaves=8)
"""Whose values fit into a long."""


@settings(max_examples=examples(60))
@given(EXPRESSIONS)
def test_integers_are_those_of_a_long(expression: str) -> None:
    """Does an expression have the value that it has in Python?"""
    assert value(f"(({expression}) == ({int(eval(expression))}))")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-7 / 2 == -3 && -7 % 2 == -1", True),
        ("7 / -2 == -3 && 7 % -2 == 1", True),
        ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", True),
        ("1 << 3 == 8 && -1 >> 1 == -1", True),
        ("0x10 == 16 && 010 == 8 && 1UL << 40 > 0", True),
        ("!0 + !5 == 1 && !!7 == 1", True),
        ("(u8)256 == 0 && (s8)255 == -1 && (bool)2 == 1", True),
        ("0x7fffffffffffffff + 1 < 0 && 0x7fffffffffffffff * 2 == -2", True),
        ("0 ? 1 / 0 : 1", True),
        ("0 && 1 / 0 || 1 || 1 / 0", True),
        ("likely(exclusive) && !unlikely(!exclusive)", True),
        ("IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) && !IS_ENABLED(CONFIG_KSM)", True),
        ("folio == swapcache", False),
        ("folio != swapcache && swapcache", False),
        ("page == &folio->page && page_folio(page) == folio", True),
        ("vma->vm_flags & VM_WRITE && !(vma->vm_flags & VM_LOCKED)", True),
        ("(vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE", True),
        ("vmf->vma->vm_flags == vma->vm_flags", True),
        ("VM_WARN_ON_ONCE(folio_test_large(folio))", False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:
    """Precedence, shortcuts, constants and the pointers of do_swap_page()."""
    fresh = fault(orig=SwapPte(0), exclusive=True)
    assert value(f"({expression})", fresh) is expected


@pytest.mark.parametrize("expression", ["1 / (nr_pages - 1)", "1 % 0", "1 << 64", "1 >> -1"])
def test_what_c_leaves_undefined_is_an_error(expression: str) -> None:
    """Is the place named where it happens?"""
    with pytest.raises(PolicyError, match=r"^it\.c:1:\d+: (division by zero|a shift by)"):
        value(f"({expression})")


def test_a_variable_keeps_as_many_bits_as_it_has() -> None:
    """Are values cut to the type of the variable that takes them?"""
    assert swapin("u8 x = 257; bool y = 2; if (x == 1 && y == 1) rmap_flags |= RMAP_EXCLUSIVE;")[2]
    assert swapin("unsigned int x = -1; if (x == 0xffffffff) rmap_flags |= RMAP_EXCLUSIVE;")[2]


REUSES = """\
static bool wp_can_reuse_anon_folio(struct folio *folio)
{{
	{type} refs = folio_ref_count(folio);

	return {condition};
}}
"""


@pytest.mark.parametrize(
    ("type_", "condition", "expected"),
    [
        ("unsigned int", "refs - 3 > 0", True),
        ("unsigned long", "refs - 3 > 0", True),
        ("long", "refs - 3 > 0", False),
        ("int", "refs - 3 > 0", False),
        ("u8", "refs - 3 > 0", False),
        ("unsigned int", "-1 < refs", False),
        ("unsigned int", "-1L < refs", True),
        ("unsigned int", "-refs == 0xffffffff", True),
        ("unsigned int", "~refs / 2 == 0x7fffffff", True),
        ("unsigned int", "refs - 3 < 1 + folio_test_lru(folio)", False),
        ("int", "(refs ? -1 : 0u) > 0", True),
    ],
)
def test_operators_convert_integers_by_their_types(
    type_: str, condition: str, expected: bool
) -> None:
    """Is a number without sign above zero, beside others too?"""
    policy = read(REUSES.format(type=type_, condition=condition))
    assert policy.can_reuse_anon(FolioRefs(1, 1, False, 0, False)) is expected


@pytest.mark.parametrize(
    "condition",
    [
        "vmf->flags == FAULT_FLAG_WRITE",
        "vmf->flags ^ FAULT_FLAG_WRITE",
        "!(vmf->flags & ~FAULT_FLAG_WRITE)",
        "vma->vm_flags == (VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_SOFTDIRTY)",
    ],
)
def test_what_depends_on_flags_that_the_model_has_not_is_an_error(condition: str) -> None:
    """Such as FAULT_FLAG_USER and VM_ACCOUNT, which a kernel sets?"""
    with pytest.raises(PolicyError, match="depends on flags of vm_flags or vmf->flags"):
        swapin(f"if ({condition}) pte = pte_mkdirty(pte);")


def test_an_inner_variable_hides_an_outer_one() -> None:
    """Is the outer one as it was when the block is left?"""
    text = "int a = 1; { int a = 2; a = 3; } if (a == 1) rmap_flags |= RMAP_EXCLUSIVE;"
    assert swapin(text).exclusive


def test_a_declaration_of_the_functions_own_variable_is_that_variable() -> None:
    """Does `pte_t pte = ...` at the top stand for the PTE that is mapped?"""
    text = "pte_t pte = pte_mkdirty(mk_pte(page, vma->vm_page_prot)); rmap_t rmap_flags = 1;"
    with pytest.raises(PolicyError, match="'rmap_flags' can hold"):
        swapin(text)
    assert swapin(text.replace("= 1", "= RMAP_EXCLUSIVE")) == (Pte(0).mkdirty(), False, True)


def test_what_is_initialised_on_every_path_has_a_value() -> None:
    """Does a path that leaves count as one on which nothing is missing?"""
    text = """
        bool a, b;
        if (exclusive) { a = true; } else { a = false; }
        if (a)
            b = false;
        else
            goto out;
        if (!b)
            rmap_flags |= RMAP_EXCLUSIVE;
        out: ;
    """
    assert swapin(text).exclusive
    with pytest.raises(PolicyError, match="'b' may have no value here"):
        swapin(text.replace("goto out;", ";"))


def test_goto_goes_on_behind_its_label() -> None:
    """Is what lies between skipped, and what follows executed, also out of inner blocks?"""
    text = """
        if (exclusive) {
            if (vmf->flags & FAULT_FLAG_WRITE)
                goto mapped;
            pte = pte_mkuffd_wp(pte);
        }
        pte = pte_mksoft_dirty(pte);
    mapped:
        pte = pte_mkwrite(pte, vma);
    """
    assert swapin(text).pte == Pte(0, write=True)
    assert swapin(text, fault(write=False)).pte == Pte(0, True, False, True, True)


def test_nothing_behind_set_pte_matters() -> None:
    """Is the PTE the one that was mapped, and is what follows not even read?"""
    text = "set_pte_at(vma->vm_mm, vmf->address, vmf->pte, pte_mkdirty(pte)); frob(); goto x;"
    assert swapin(text).pte == Pte(0).mkdirty()
    within = "if (exclusive) { set_ptes(0, 0, 0, pte_mkdirty(pte), 1); pte = pte_mkwrite(pte); }"
    assert swapin(within).pte == Pte(0).mkdirty()


@pytest.mark.parametrize(
    ("call", "exclusive"),
    [
        ("page_add_anon_rmap(page, vma, vmf->address, rmap_flags)", True),
        ("folio_add_anon_rmap_ptes(folio, page, 1, vma, address, RMAP_NONE)", False),
        ("folio_add_anon_rmap_pte(folio, page, vma, address, RMAP_NONE)", False),
        ("page_add_new_anon_rmap(page, vma, vmf->address)", True),
        ("folio_add_new_anon_rmap(folio, vma, address, RMAP_NONE)", False),
        ("folio_add_new_anon_rmap(folio, vma, address)", True),
    ],
)
def test_the_page_is_exclusive_as_rmap_is_told(call: str, exclusive: bool) -> None:
    """Do the flags that rmap gets decide, and not what becomes of the variable?"""
    text = f"rmap_flags |= RMAP_EXCLUSIVE; {call}; rmap_flags = 0;"
    assert swapin(text).exclusive is exclusive


def test_bits_and_what_they_bring_with_them() -> None:
    """Does dirty mean soft-dirty, and uffd-wp write-protected, as on x86?"""
    assert swapin("pte = pte_mkdirty(pte);").pte == Pte(0, dirty=True, soft_dirty=True)
    assert swapin("pte = pte_mkuffd_wp(pte_mkwrite(pte));").pte == Pte(0, uffd_wp=True)
    arm = fault(pte=DirtyingPte(0))
    assert swapin("pte = pte_mkwrite(pte_mksoft_dirty(pte));", arm).pte.dirty


def test_maybe_mkwrite_looks_at_the_vma() -> None:
    """Is a page of a read-only mapping left alone?"""
    text = "pte = maybe_mkwrite(pte, vma);"
    assert swapin(text).pte.write
    assert not swapin(text, fault(Vma(writable=False))).pte.write


@pytest.mark.parametrize("write", [False, True])
def test_a_write_is_handled_when_the_flag_is_gone(write: bool) -> None:
    """Does only FAULT_FLAG_WRITE count, and only of a write?"""
    gone = swapin("vmf->flags &= ~FAULT_FLAG_WRITE;", fault(write=write))
    assert gone.write_handled is write
    assert not swapin("vmf->flags &= ~FAULT_FLAG_UNSHARE;", fault(write=write)).write_handled


def test_lru_add_drain_lets_go_of_a_batch() -> None:
    """Can C find out that a folio is in a per-CPU batch, and take it out?"""
    text = "if (!folio_test_lru(folio)) lru_add_drain(); exclusive = folio_ref_count(folio) == 1;"
    text += "if (exclusive) rmap_flags |= RMAP_EXCLUSIVE;"
    batched = fault(exclusive=False, folio=ALONE._replace(ref_count=2))
    cached = fault(exclusive=False, folio=ALONE._replace(ref_count=2, swapcache=True))
    assert swapin(text, batched).exclusive
    assert not swapin(text, cached).exclusive


def test_freeing_the_swap_cache_drops_its_reference() -> None:
    """Does folio_free_swap() succeed where no swap PTE is left, and only there?"""
    text = "bool can_reuse_anon(struct folio *f) { folio_free_swap(f); "
    text += "return !folio_test_swapcache(f) && folio_ref_count(f) == 1; }"
    assert read(text).can_reuse_anon(FolioRefs(1, 2, True, 0, False))
    assert not read(text).can_reuse_anon(FolioRefs(1, 2, True, 1, False))


@pytest.mark.parametrize(
    ("body", "reuses"),
    [
        ("if (folio_ref_count(folio) > 3) goto copy; folio_unlock(folio);", True),
        ("if (folio_ref_count(folio) != 3) goto copy;", False),
        ("if (PageAnonExclusive(vmf->page)) goto reuse; goto copy;", False),
        ("goto reuse; reuse: if (unlikely(unshare)) return 0; wp_page_reuse(vmf); frob();", True),
        (
            "if (!PageKsm(vmf->page)) { wp_page_reuse(vmf); return VM_FAULT_WRITE; } goto copy;",
            True,
        ),
        (
            "struct page *old = vmf->page; if (page_count(old) == 1) return wp_page_copy(vmf);",
            False,
        ),
    ],
)
def test_statements_of_do_wp_page_decide_by_where_they_go(body: str, reuses: bool) -> None:
    """Before 6.7: is `copy` no, `reuse` yes, and the end of the statements yes?"""
    policy = policy_of("it", "", "", {"can_reuse_anon": CBlock("it.c", 7, body)})
    assert policy.can_reuse_anon(FolioRefs(1, 1, False, 0, False)) is reuses


FREE = """
static __always_inline bool should_try_to_free_swap({parameters}) __must_hold(lock)
{{
	return {result};
}}
"""


@pytest.mark.parametrize(
    ("parameters", "result", "expected"),
    [
        ("struct folio *f, struct vm_area_struct *v, unsigned int flags", "flags & 1", None),
        (
            "struct folio *f, struct vm_area_struct *v, unsigned int flags",
            "flags & FAULT_FLAG_WRITE",
            [False, True],
        ),
        (
            "struct swap_info_struct *si, struct folio *f, struct vm_area_struct *v, "
            "unsigned int extra_refs, unsigned int flags",
            "extra_refs == 1 && flags & FAULT_FLAG_WRITE",
            [False, True],
        ),
        (
            "struct page *page, struct vm_area_struct *v, unsigned flags",
            "page_count(page)",
            [True] * 2,
        ),
        ("struct folio *f, struct vm_area_struct *v, bool write", "write", [False, True]),
    ],
)
def test_parameters_are_known_by_their_types(
    parameters: str, result: str, expected: list[bool] | None
) -> None:
    """Is the last integer the fault's flags, whatever its name is?"""
    text = FREE.format(parameters=parameters, result=result)
    if expected is None:
        with pytest.raises(PolicyError, match="do not go together"):
            read(text)
        return
    policy = read(text)
    assert [
        policy.should_free_swap(ALONE, Vma(), write, False) for write in (False, True)
    ] == expected


@pytest.mark.parametrize("parameter", ["bool exclusive", "int exclusive", "unsigned long mask"])
def test_a_parameter_that_is_no_number_of_references_is_refused(parameter: str) -> None:
    """Rather than given the value 1, that of `extra_refs`?"""
    name = parameter.split()[-1]
    text = FREE.format(
        parameters=f"struct folio *f, {parameter}, unsigned int flags", result=f"{name} && flags"
    )
    with pytest.raises(PolicyError, match=f"passes as '{name}' is not known"):
        read(text)


@pytest.mark.parametrize(
    ("call", "doubted"),
    [
        ("trace_android_vh_swapin(vma, &pte);", "could change pte"),
        ("count_vm_event(&vmf->flags);", "could change vmf->flags"),
        ("trace_android_rvh_swapin(vma, pte);", "a hook for vendors"),
        ("trace_swapin(vma, pte);", None),
        ("count_vm_event(PSWPIN);", None),
    ],
)
def test_a_call_that_is_passed_over_and_could_decide_is_doubted(
    call: str, doubted: str | None
) -> None:
    """Is a call that is handed the address of what decides said to be not decided?"""
    policy = read(f"pte = pte_mkyoung(pte);\n{call}\n")
    assert len(policy.undecided) == (doubted is not None)
    assert doubted is None or (doubted in policy.undecided[0] and "it.c:2: " in policy.undecided[0])


def test_an_address_where_none_is_taken_is_refused() -> None:
    """Is &pte an error in an argument that is not looked at?"""
    with pytest.raises(PolicyError, match="not known to take an address"):
        swapin("set_ptes(vma, vmf->address, &pte, pte, 1);")


@pytest.mark.parametrize(
    ("defines", "dirty"), [((), False), (("MINE",), True), (("MINE", "YOURS"), False)]
)
def test_names_are_defined_on_the_command_line(defines: tuple[str, ...], dirty: bool) -> None:
    """Are lines left out as cpp does, with every other name undefined?"""
    text = """
    #if defined(MINE) && !defined YOURS
        pte = pte_mkdirty(pte);
    #  ifdef NOBODYS
        nonsense here
    #  endif
    #elif 0 || (IS_ENABLED(CONFIG_USERFAULTFD) == 0)
        nonsense there
    #else
        ret = 0;
    #endif
    """
    assert swapin(text, defines=defines).pte.dirty is dirty


def test_a_defined_name_is_1_in_an_expression() -> None:
    """As it is for a compiler that is given -DMINE?"""
    assert swapin("if (MINE) pte = pte_mkdirty(pte);", defines=["MINE"]).pte.dirty


def test_a_page_leaves_the_swap_cache_only_to_be_reused() -> None:
    """Is C refused that frees the cache where the model would not do so?"""
    text = "bool can_reuse_anon(struct folio *f) { return !folio_free_swap(f); }"
    assert read(text).can_reuse_anon(FolioRefs(1, 2, True, 1, False))
    with pytest.raises(PolicyError, match=r"it\.c:1:1: frees the swap cache of a page"):
        read(text).can_reuse_anon(FolioRefs(1, 2, True, 0, False))
    with pytest.raises(PolicyError, match=r"folio_free_swap\(\) is not known where"):
        swapin("folio_free_swap(folio);")


def test_places_are_those_of_the_file() -> None:
    """Does an error in a block that begins on line 4,500 say so, and a citation?"""
    block = CBlock("mm/memory.c", 4500, "\n\tif (exclusive)\n\t\tpte = pte_mkdirty(pte);\n")
    policy = policy_of("it", "", "", {"swapin_pte": block})
    cited = policy.cite("swapin_pte", fault())
    assert [(each.file, each.line) for each in cited] == [("mm/memory.c", n) for n in (4501, 4502)]
    wrong = block._replace(text=block.text.replace("mkdirty", "mkdusty"))
    with pytest.raises(PolicyError, match=r"^mm/memory\.c:4502:9: the model has no function"):
        policy_of("it", "", "", {"swapin_pte": wrong})
