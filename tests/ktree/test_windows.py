"""Does the swap_vma_ra_win() of a tree decide how far a fault reads ahead?"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.mm.policy import Policy
from swaptrace.mm.readahead import ROOT, ReadFault, Window, window_bounds, window_size
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text
from tests.commandline import run
from tests.effort import examples, some
from tests.ktree.making import diff
from tests.ktree.test_real import TREES
from tests.ktree.wholes import SMALL

STATE = "mm/swap_state.c"

C = """\
static unsigned int size_of(unsigned long at, unsigned long before, int hits, int most, int last)
{
	unsigned int size = 1;

	if (hits) {
		size = 4;
		while (size < hits + 2)
			size <<= 1;
	} else if (at == before + 1 || at == before - 1) {
		size = 2;
	}
	size = min(size, most);
	return max(size, last / 2);
}

static int swap_vma_ra_win(struct vm_fault *vmf, unsigned long *start, unsigned long *end)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long seen = GET_SWAP_RA_VAL(vma), before = SWAP_RA_ADDR(seen), at = vmf->address, from;
	unsigned int most = 1 << min(page_cluster, SWAP_RA_ORDER_CEILING), size;

	if (most == 1)
		return 1;
	size = size_of(PFN_DOWN(at), PFN_DOWN(before), SWAP_RA_HITS(seen), most, SWAP_RA_WIN(seen));
	atomic_long_set(&vma->swap_readahead_info, SWAP_RA_VAL(at, size, 0));
	if (size == 1)
		return 1;
	from = at - (((size - 1) / 2) << PAGE_SHIFT);
	if (at == before + PAGE_SIZE)
		from = at;
	else if (before == at + PAGE_SIZE)
		from = at - ((size - 1) << PAGE_SHIFT);
	*start = max3(from, vma->vm_start, at & PMD_MASK);
	*end = min3(from + (size << PAGE_SHIFT), vma->vm_end, (at & PMD_MASK) + PMD_SIZE);
	return size;
}
"""
"""As the model has it."""

OLDER = (
    C[: C.index("static int swap_vma_ra_win(")]
    + """\
static void cut(struct vm_area_struct *vma, unsigned long at, unsigned long first,
		unsigned long behind, unsigned long *start, unsigned long *end)
{
	*start = max3(first, PFN_DOWN(vma->vm_start), PFN_DOWN(at & PMD_MASK));
	*end = min3(behind, PFN_DOWN(vma->vm_end), PFN_DOWN((at & PMD_MASK) + PMD_SIZE));
}

static void swap_ra_info(struct vm_fault *vmf, struct vma_swap_readahead *info)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long seen, before, at, start, end, from;
	unsigned int most, size;
	pte_t *pte, *mapped;

	most = 1 << min_t(unsigned int, READ_ONCE(page_cluster), SWAP_RA_ORDER_CEILING);
	if (most == 1) {
		info->win = 1;
		return;
	}
	mapped = pte = pte_offset_map(vmf->pmd, vmf->address);
	seen = GET_SWAP_RA_VAL(vma);
	at = PFN_DOWN(vmf->address);
	before = PFN_DOWN(SWAP_RA_ADDR(seen));
	info->win = size = size_of(at, before, SWAP_RA_HITS(seen), most, SWAP_RA_WIN(seen));
	atomic_long_set(&vma->swap_readahead_info, SWAP_RA_VAL(vmf->address, size, 0));
	if (size == 1) {
		pte_unmap(mapped);
		return;
	}
	from = at - (size - 1) / 2;
	if (at == before + 1)
		from = at;
	else if (before == at + 1)
		from = at - size + 1;
	cut(vma, vmf->address, from, from + size, &start, &end);
	info->nr_pte = end - start;
	info->offset = at - start;
	pte -= info->offset;
	info->ptes = pte;
	pte_unmap(mapped);
}
"""
)
"""The same as it was up to 6.8, under another name."""

NEAR = "at == before + 1 || at == before - 1"

EDITS = {
    "nothing": ("", ""),
    "what is near, by a distance": (NEAR, "at - before + 1 <= 2 && at != before"),
    "no read-ahead where nothing was found": (NEAR, "0"),
    "read-ahead behind a fault at page 0": (NEAR, f"{NEAR} || before == 0"),
    "twice as far": ("1 << min(page_cluster", "2 << min(page_cluster"),
    "all behind the fault": ("- (((size - 1) / 2) << PAGE_SHIFT)", ""),
    "only where the last was farther up": (NEAR, "before > at"),
    "another window behind page 100": ("size = 1;", "size = 1 + (at % 512 > 100);"),
    "another window behind an address": (
        "size = 1;",
        "size = 1 + ((at & ~63ul) == (at & ~511ul));",
    ),
    "from a page on": ("from = at -", "from = (at & ~(4 * PAGE_SIZE - 1)) -"),
}


def tree(folder: Path, text: str = C) -> Path:
    """A small tree with this mm/swap_state.c."""
    made = Path(shutil.copytree(SMALL / "before", folder / "linux"))
    (made / STATE).write_text(text)
    return made


def policy(folder: Path, text: str = C) -> TreePolicy:
    found = policies.from_argument(f"kernel:{tree(folder, text)}")
    assert isinstance(found, TreePolicy)
    return found


def faults(seed: int, count: int) -> list[ReadFault]:
    """Random ones, most of them near the one before, some at the ends of a VMA or a page table."""
    random = Random(seed)
    found = []
    for _ in range(count):
        table, size = random.choice([(512, 4096), (2048, 16384), (8192, 65536)])
        low = random.randrange(1 << 30)
        high = low + random.choice([1, 7, 40, 600, 20000])
        address = random.choice([low, high - 1, random.randrange(low, high)])
        far = random.choice([0, low - 700, address + 700])
        last = random.choice([address - 1, address + 1, address, address + 2, far])
        known = random.choice([0, 1, 2, 4, 8, 16, 32]), random.choice([0, 0, 1, 2, 5, 30])
        machine = random.randint(1, 7), table, size
        found.append(ReadFault(address, max(0, last), *known, low, high, *machine))
    return found


def asked(policy: Policy, fault: ReadFault) -> Window:
    """The window of the policy's own function."""
    bounds = fault.low, fault.high
    return policy.functions[ROOT](fault[6:]).window(*fault[:4], bounds)  # type: ignore[no-any-return]


def built_in(fault: ReadFault) -> Window:
    """That of the model."""
    known = fault.address, fault.last, fault.hits, fault.window, fault.max_window
    size = window_size(Policy(), *known)
    limits = size, fault.low, fault.high, fault.table_pages
    pages = window_bounds(fault.address, fault.last, *limits)
    return Window(size, *pages, fault.address, size, 0)


def shown(window: Window) -> tuple[int, ...]:
    """What counts of it: the pages of one that is not alone, and what is kept."""
    return window if window.size > 1 else (1, window.last, window.window, window.hits)


@pytest.mark.parametrize("text", [C, OLDER], ids=["6.9", "before"])
def test_the_same_c_gives_the_same_windows(text: str, tmp_path: Path) -> None:
    """Are the pages and the state those of the built-in function, however often it is asked?"""
    own = policy(tmp_path, text)
    for fault in faults(1, 2 * examples(2000)):
        assert shown(asked(own, fault)) == shown(built_in(fault)), fault


@pytest.mark.parametrize("what", some(EDITS, 1))
def test_what_is_remembered_is_what_c_says(what: str, tmp_path: Path) -> None:
    """Is the answer that of a policy which is asked for the first time?"""
    text = C.replace(*EDITS[what], 1)
    own, spec = policy(tmp_path, text), f"kernel:{tmp_path / 'linux'}"
    questions = faults(2, examples(300))
    for fault in questions:
        asked(own, fault)
    for fault in some(questions[:: max(1, len(questions) // 40)], 5):
        fresh = asked(policies.from_argument(spec), fault)
        assert shown(asked(own, fault)) == shown(fresh)


@pytest.mark.parametrize("text", [C, OLDER], ids=["6.9", "before"])
def test_c_runs_once_for_all_addresses_that_it_says_the_same_of(text: str, tmp_path: Path) -> None:
    """Not for each page of a page table?"""
    windows = policy(tmp_path, text).functions[ROOT]((3, 512, 4096))
    for at in range(512):
        for last in (at - 1, at + 1, 600):
            windows.window(at + 512, last + 512, 8, 3, (0, 1536))
    runs = sum(map(len, windows.shapes.values()))
    assert 2 < runs < 20


PASSES = """\
machine: {swap: {backend: zswap}}
steps:
- {mmap: b, size: 3MiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {mprotect: b, prot: r, offset: 400KiB, length: 400KiB}
- {read: b, order: %s, stride: %s}
"""


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
@pytest.mark.parametrize("stride", some(["12KiB", "4KiB"], 1))
def test_a_replay_asks_it(order: str, stride: str, tmp_path: Path) -> None:
    """Are counts and pages those of the built-in windows, and others with an edit?"""
    scenario = load_text(PASSES % (order, stride), "passes")
    own = replay(scenario, policy(tmp_path), pages=True)
    built_in = replay(scenario, policies.find("merged"), pages=True)
    assert (own.total, own.pages) == (built_in.total, built_in.pages)
    older = replay(scenario, policy(tmp_path / "older", OLDER), pages=True)
    assert (older.total, older.pages) == (built_in.total, built_in.pages)
    edited = C.replace(*EDITS["all behind the fault"], 1)
    other = replay(scenario, policy(tmp_path / "edited", edited))
    assert other.total != own.total or (order, stride) == ("forward", "4KiB")


def test_a_patch_of_the_window_is_run_and_not_proved(tmp_path: Path) -> None:
    """Does compare show it, as decided, and does explore refuse a proof?"""
    made = tree(tmp_path)
    patch, scenario = tmp_path / "fix.patch", tmp_path / "passes.yaml"
    patch.write_text(diff(C, C.replace(*EDITS["all behind the fault"]), STATE))
    scenario.write_text(PASSES % ("random", "12KiB"))
    pair = f"kernel:{made},kernel:{made}+{patch}"
    done = run("compare", scenario, "--policies", pair)
    assert done.exit_code == 0, done.output
    assert f"changed, and run: {STATE}: {ROOT}()" in done.stderr
    assert "swap_ra" in done.stdout
    done = run("explore", "--policies", pair, "--ops", "read,write,pageout")
    assert done.exit_code == 3, done.output
    assert "not a proof" in done.stdout
    assert "a changed swap_vma_ra_win() is run" in done.stdout
    done = run("policies", f"kernel:{made}", "--builtin", ROOT)
    assert "size_of()" not in done.stdout


WRONG = {
    "an unknown function": ("size = 1;", "size = zswap_window();", "zswap_window"),
    "a bound that decides": ("most == 1", "vma->vm_end - at < 9", "where an integer is needed"),
    "a window that leaves the page table": (", at & PMD_MASK);", ", from);", "its window leaves"),
    "no window": (
        "== 1)\n		return 1;\n	from",
        "== 1)\n		return 0;\n	from",
        "no size",
    ),
    "a loop without end": ("size <<= 1;", "size <<= 0;", "round for ever"),
    "another pointer": ("*start =", "*end =", "does not say where"),
}

WRONG_BEFORE = {
    "a type that is none": ("(unsigned int, READ", "(most, READ", "most"),
    "a field that is not there": ("info->offset = at", "info->first = at", "field 'first'"),
    "a field that nobody set": ("pte -= info->offset", "pte -= info->ptes", "'ptes'"),
    "a bound that decides": ("most == 1", "PFN_DOWN(vma->vm_end) < 9", "an integer is needed"),
    "a window that leaves the page table": (", PFN_DOWN(at & PMD_MASK));", ", first);", "leaves"),
    "no place": ("	info->nr_pte = end - start;\n", "", "does not say where"),
    "a look at the page table": (
        "if (size == 1) {",
        "if (pte == mapped) {",
        "asks more of the page table",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_understood_is_an_error(what: str, tmp_path: Path) -> None:
    """Is it named with its file, and is no window made up?"""
    old, new, message = WRONG[what]
    assert old in C
    with pytest.raises(PolicyError, match=message) as raised:
        replay(load_text(PASSES % ("random", "4KiB"), "p"), policy(tmp_path, C.replace(old, new)))
    assert STATE in str(raised.value)


@pytest.mark.parametrize("what", WRONG_BEFORE)
def test_what_is_not_understood_of_an_older_one_is_an_error(what: str, tmp_path: Path) -> None:
    """The same of swap_ra_info()?"""
    old, new, message = WRONG_BEFORE[what]
    assert old in OLDER
    text = OLDER.replace(old, new)
    with pytest.raises(PolicyError, match=message) as raised:
        replay(load_text(PASSES % ("random", "4KiB"), "p"), policy(tmp_path, text))
    assert STATE in str(raised.value)


@pytest.mark.parametrize("version", ["6.1", "6.12", "7.2", "7.3"])
def test_the_windows_of_a_kernel_are_those_of_the_model(version: str) -> None:
    """Does the kernel's own source say what the model does?"""
    if version not in TREES or not (TREES[version] / STATE).is_file():
        pytest.skip(f"no {STATE} of Linux {version} in SWAPTRACE_TEST_TREES")
    own = policies.from_argument(f"kernel:{TREES[version]}")
    assert ROOT in own.functions
    for fault in faults(3, 2 * examples(2000)):
        assert shown(asked(own, fault)) == shown(built_in(fault)), fault
