"""The lists of the multi-generational LRU (linux/mm_inline.h, v6.12).

A folio's flags name its generation; it is on the list of that one, or still on an older one
until reclaim comes to it.
"""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import (
    ACTIVE,
    ANON,
    FILE,
    GEN,
    GEN_PAGES,
    GEN_SHIFT,
    GENERATION_FLAGS,
    IN_SWAP_CACHE,
    LISTED,
    MAX_NR_GENS,
    MAX_SEQ,
    MIN_NR_GENS,
    MIN_SEQ,
    REFERENCED,
    REFS,
    REFS_SHIFT,
    TYPES,
    UNEVICTABLE,
    WHERE,
    WORKINGSET,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.rings import link_after, unlink


@compiled
def type_of(m: Memory, node: int) -> int:
    """LRU_GEN_ANON or LRU_GEN_FILE."""
    return 1 if m.flags[node] & FILE else ANON


@compiled
def gen_of(m: Memory, node: int) -> int:
    """folio_lru_gen(): -1 on no list."""
    return ((m.flags[node] & GEN) >> GEN_SHIFT) - 1


@compiled
def lru_refs(m: Memory, node: int) -> int:
    """folio_lru_refs()"""
    flags = m.flags[node]
    return ((flags & REFS) >> REFS_SHIFT) + (1 if flags & WORKINGSET else 0)


@compiled
def tier_of(refs: int) -> int:
    """lru_tier_from_refs(), the integer logarithm of refs + 1 rounded up."""
    return 0 if refs == 0 else 1 if refs == 1 else 2 if refs <= 3 else 3


@compiled
def is_active(m: Memory, gen: int) -> bool:
    """lru_gen_is_active(): the two youngest generations."""
    newest = m.v[MAX_SEQ]
    return gen == newest % MAX_NR_GENS or gen == (newest - 1) % MAX_NR_GENS


@compiled
def in_swap_cache(m: Memory, node: int) -> bool:
    """folio_test_swapcache()"""
    page = page_of(m, node)
    return (m.t[m.v[IN_SWAP_CACHE] + m.column[page]] >> (node - base_of(m, page))) & 1 != 0


@compiled
def seq_for(m: Memory, node: int, reclaiming: bool) -> int:
    """The generation that a folio is added to."""
    kind, newest = type_of(m, node), m.v[MAX_SEQ]
    if m.flags[node] & ACTIVE:
        return newest
    if kind == ANON and not in_swap_cache(m, node):
        return newest - 1
    oldest = m.v[MIN_SEQ + kind]
    if reclaiming or oldest + MIN_NR_GENS >= newest:
        return oldest
    return oldest + 1


@compiled
def gen_add_folio(m: Memory, node: int, reclaiming: bool) -> None:
    """lru_gen_add_folio(): to the head of its generation's list, or to the tail of the oldest."""
    gen = seq_for(m, node, reclaiming) % MAX_NR_GENS
    flags = m.flags[node]
    if flags & ACTIVE:
        flags &= ~(REFS | REFERENCED | ACTIVE)
    m.flags[node] = (flags & ~(WHERE | GEN)) | LISTED | ((gen + 1) << GEN_SHIFT)
    which = gen * TYPES + type_of(m, node)
    m.v[GEN_PAGES + which] += 1
    link_after(m, node, int(m.prev[which]) if reclaiming else which)


@compiled
def gen_del_folio(m: Memory, node: int, reclaiming: bool) -> None:
    """lru_gen_del_folio(): that it was in a young generation is remembered, but for reclaim."""
    gen = gen_of(m, node)
    unlink(m, node)
    m.v[GEN_PAGES + gen * TYPES + type_of(m, node)] -= 1
    m.flags[node] &= ~(WHERE | GEN | ACTIVE)
    if not reclaiming and is_active(m, gen):
        m.flags[node] |= ACTIVE


@compiled
def set_gen(m: Memory, node: int, gen: int) -> None:
    """Another generation for a folio, whose tier starts anew; it stays on its list."""
    kind, old = type_of(m, node), gen_of(m, node)
    m.flags[node] = (m.flags[node] & ~(GEN | GENERATION_FLAGS)) | ((gen + 1) << GEN_SHIFT)
    m.v[GEN_PAGES + old * TYPES + kind] -= 1
    m.v[GEN_PAGES + gen * TYPES + kind] += 1


@compiled
def move_to_head(m: Memory, node: int, which: int) -> None:
    """list_move()"""
    unlink(m, node)
    link_after(m, node, which)


@compiled
def move_to_tail(m: Memory, node: int, which: int) -> None:
    """list_move_tail()"""
    unlink(m, node)
    link_after(m, node, int(m.prev[which]))


@compiled
def folio_inc_refs(m: Memory, node: int) -> None:
    """The folio was used once more, by way of a system call."""
    flags = m.flags[node]
    if flags & WHERE == UNEVICTABLE:
        return
    if not flags & REFERENCED:
        m.flags[node] |= REFERENCED
    elif not flags & WORKINGSET:
        m.flags[node] |= WORKINGSET
    elif flags & REFS != REFS:
        m.flags[node] = flags + (1 << REFS_SHIFT)
