"""Do the JSON Schema of scenarios and the loader agree?"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings

from swaptrace import bundled
from swaptrace.errors import ScenarioError
from swaptrace.scenario import checks, described, loader, machine, values
from swaptrace.scenario.jsonschema import KeyRecorder, accepts, of_reader, scenario_schema
from swaptrace.scenario.loader import COUNT, load_text
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.values import Reader
from tests.commandline import LOST, READ_WRITE
from tests.effort import examples
from tests.scenario.test_loader import READ_THEN_WRITE
from tests.scenario.test_loader_errors import ERRORS, NAMES, OVERRIDE
from tests.scenario.test_loader_robust import WORKOUT, mutations
from tests.schemas import as_an_editor_reads, mistakes

SCHEMA = scenario_schema()

EVERY_KEY = """\
name: 42
description:
machine:
  {kernel: 6.10, page_size: 0x1000, soft_dirty: TRUE, hw_dirty: "true", mkwrite_dirties: False,
   zswap_never_enabled: false, discards_pmd: false, lru_batch: false, hugepages: 0,
   per_vma_lock: true, zeromap: true, write_upgrade: false,
   memlock: 64KiB, memory: 8MiB, reclaim: lru, stat_flush: 64, lru_drain: never,
   swap: {backend: disk, size: 1G, page_cluster: 0o3}, thp: {16KiB: madvise, 2MiB: never}}
steps:
- {mmap: a, size: 64KiB, prot: r, at: 0x10000000}
- {mmap: a, size: 4KiB, offset: 4KiB, flags: [MAP_FIXED, POPULATE], prot: rwx}
- {mmap: b, size: 0, errno: EINVAL}
- {munmap: a, offset: 1, length: 0, errno: EINVAL}
- {mremap: a, size: 0, errno: EINVAL}
- {mmap: b, size: 4KiB}
- {mremap: b, size: 8KiB, flags: [MAYMOVE, MREMAP_FIXED], to: 0x20000000, process: main}
- {mremap: b, size: 8KiB, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP], as: c}
- {mprotect: a, prot: rw, offset: 4KiB, length: 4K}
- {memset: a, value: 0xff, offset: 1, length: 2}
- {read: a, offset: 1, length: 2, stride: 1, order: backward}
- {write: a, value: 0, stride: "8KiB", order: random, seed: 4294967295}
- {read_write: a, order: forward, process: main}
- {access: a, count: 10, pattern: zipf, exponent: 1.2, write_share: 0.5, seed: 3, length: 8KiB}
- {access: a, count: 10, pattern: hot, hot_pages: 1, hot_share: 1, offset: 4KiB, process: main}
- {trace: a.npz, region: a, process: main}
- {madvise: a, advice: FREE, errno: EINVAL}
- {madvise: a, advice: COLD, target: main}
- {mlock: a, errno: EAGAIN}
- {mlock: a, flags: [MLOCK_ONFAULT]}
- munlock: a
- {mlockall: [MCL_CURRENT, FUTURE], process: main}
- munlockall: true
- fork: child
- {clear_refs: soft_dirty, process: child}
- {uffd_writeprotect: a, wp: False, length: 8KiB, process: child}
- {exit: child, process: child}
- {measure: w, steps: [{repeat: 0x3, process: main, steps: [{repeat: 1, steps: [read: a]}]}]}
- {repeat: 2, steps: [{measure: w, steps: [read: a]}]}
- check: {pages: {a: '8P,8-'}, data: {a: 0x11}, violations: [lost_write], policies: [final]}
  process: main
- check: {vmas: {a: '+15,1-'}}
- check: {pages: {a: 16PX}, data: {a: '1:0x11,12:zero,2:unchanged,1:-'}, violations: []}
- {munmap: a, offset: 60KiB, errno: ENOMEM}
expect:
  w: {final: {minflt: 0}, my-policy: {}}
  total: {new: {majflt: "7", pswpin: 0x10, lost_write: 1}}
"""

PINS = """\
machine: {kernel: 6.18, swap_max: 1MiB}
steps:
- {mmap: a, size: 64KiB, prot: r}
- {pin: a, mode: longterm, offset: 4KiB, length: 8KiB, errno: EFAULT}
- {pin: a, mode: get, process: main}
- {unpin: a, process: main}
- {madvise: a, advice: MERGEABLE}
- {ksm_scan: true, process: main}
- {mmap: s, size: 64KiB, shared: true, file: f}
- {mmap: t, size: 64KiB, file: {name: g, size: 6KiB, offset: 4KiB}}
- {uffd_register: a, mode: [missing, wp], features: WP_UNPOPULATED, fill: 7}
- {uffd_copy: a, value: 7, wp: true, length: 4KiB, errno: EEXIST}
- {uffd_zeropage: a}
- {uffd_unregister: a, process: main}
- {pagemap_scan: a, category: WRITTEN, anyof: [PRESENT, 0x8], inverted: PAGE_IS_HUGE, return: []}
- {pagemap_scan: a, wp: true, flags: [PM_SCAN_WP_MATCHING], max_pages: 3, vec: false, vec_len: 0}
- {mincore: a, vec: false, length: 0}
- {memory_merge: true}
- {ksm_scan: true, zero_pages: true}
- {poke: a, value: 0x11, offset: 3, length: 5}
- {migrate: a, length: 4KiB}
- {madvise: a, advice: 1212, errno: EINVAL}
- {mlock: a, flags: [MLOCK_ONFAULT, 0x100], errno: EINVAL}
- {mlockall: [0x8], errno: EINVAL}
- check: {scan: {regions: 1, walk_end: 4KiB, pages: '3WP,1-'}}
"""
"""What no machine with a memory limit has."""

GOOD: Final = {
    "example": READ_THEN_WRITE,
    "workout": WORKOUT,
    "read-write": READ_WRITE,
    "lost": LOST,
    "every-key": EVERY_KEY,
    "pins": PINS,
    **{name: path.read_text() for name, path in bundled.scenarios().items()},
}

STATE = "needs to know which regions and processes there are at that step"
OTHER_KEY = "holds a value against that of another key"
OVERRIDDEN = "comes from the command line"
PAGE_SIZE = "needs the page size to see what is aligned"
YAML = "is lost once the YAML is read"

BEYOND: Final = {
    "check-pages": STATE,
    "expect-window": "holds the windows against the labels of the steps",
    "far-too-many-problems": STATE,
    "machine-swap-size-huge": "needs the value of a size that has a unit",
    **{f"machine-swap-max-{name}": OTHER_KEY for name in ("device", "kernel", "none", "thp")},
    "machine-swap-max-unaligned": PAGE_SIZE,
    "machine-swap-none-mglru": OTHER_KEY,
    "machine-swap-none-size": OTHER_KEY,
    "machine-swap-none-thp": OTHER_KEY,
    "machine-swap-size-unaligned": PAGE_SIZE,
    "many-problems": STATE,
    "names-all-exited": STATE,
    "names-exit-by-another": OTHER_KEY,
    "names-exited": STATE,
    "names-failed-munmap": STATE,
    "names-fork-twice": STATE,
    "names-mmap-twice": STATE,
    "names-no-process": STATE,
    "names-no-region": STATE,
    "names-outer-process": STATE,
    "names-region-of-another-process": STATE,
    "names-repeat-exit": STATE,
    "names-repeat-fork": STATE,
    "names-repeat-mmap": STATE,
    "names-repeat-once": STATE,
    "names-repeat-range-changes": STATE,
    "names-repeat-range-changes-2": STATE,
    "names-repeat-third-pass": STATE,
    "names-repeat-told-once": STATE,
    "names-too-much": "is about the time that checking takes",
    "override-page-size-before-sizes": OVERRIDDEN,
    "override-several": OVERRIDDEN,
    "override-short-form": OVERRIDDEN,
    "override-unknown-key": OVERRIDDEN,
    "override-unknown-key-2": OVERRIDDEN,
    "override-value": OVERRIDDEN,
    "override-without-prefix": OVERRIDDEN,
    "override-without-value": OVERRIDDEN,
    "pin-names": STATE,
    "pin-under-a-limit": OTHER_KEY,
    "step-address-space": STATE,
    "step-alignment": PAGE_SIZE,
    "step-at-overlaps": STATE,
    "step-nested-too-deeply": "counts how deeply steps are nested",
    "step-operation-not-first": "needs the order of the keys, which a mapping does not have",
    "yaml-alias": YAML,
    "yaml-duplicate-keys": YAML,
}
"""What a schema cannot say of the wrong scenarios in errors/."""


def finds(text: bytes | str) -> list[str]:
    """What an editor finds wrong."""
    try:
        document = as_an_editor_reads(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        return [f"not YAML: {error}"]
    return mistakes(SCHEMA, document)


def loads(text: str) -> bool:
    """Whether the loader takes it."""
    try:
        load_text(text)
    except ScenarioError:
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_a_good_scenario_fits(name: str) -> None:
    """Does the schema find nothing wrong where the loader does not?"""
    assert loads(GOOD[name])
    assert finds(GOOD[name]) == []


def test_the_samples_use_every_key() -> None:
    """Does the one above leave no key of any operation out?"""
    written = " ".join((EVERY_KEY + PINS).split())
    keys = {key for operation in OPERATIONS.values() for key in operation.keys}
    keys |= {*OPERATIONS, *machine.KEYS, *machine.SWAP_KEYS}
    assert [key for key in keys if f"{key}:" not in written] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BEYOND])
def test_a_wrong_scenario_does_not_fit(name: str) -> None:
    """Does an editor see that something is wrong?"""
    assert finds((ERRORS / f"{name}.yaml").read_bytes())


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_a_schema_is_listed_for_a_reason(name: str) -> None:
    """Is there nothing in the list that the schema finds after all?"""
    data = (ERRORS / f"{name}.yaml").read_bytes()
    assert finds(data) == []
    assert (BEYOND[name] == OVERRIDDEN) == (OVERRIDE in data)


@settings(max_examples=examples(300))
@given(mutations())
def test_whatever_loads_fits(text: str) -> None:
    """Is no scenario wrong in an editor that the loader takes, whatever happens to its lines?"""
    if loads(text):
        assert finds(text) == []


SCALARS = (
    *("0", "1", "-1", "3", "31", "32", "255", "256", "4096", "5000", "0x1000", "0o17", "1.5"),
    *("65535", "65536", "1e3x", "0x800000000000", "999999999999999999999", "0x10000000000000000"),
    *("4K", "4KiB", "64KiB", "2MiB", "1T", "0KiB", "-4KiB", "4 KiB", "4kB", "010KiB", "1_000"),
    *("6.1", "6.10", "6.11", "6.12", "true", "False", "TRUE", "yes", "rw", "r", "none", "rwx"),
    *("random", "forward", "MADV_COLD", "COLD", "MADV", "zram", "disk", "tape", "ENOMEM", "enomem"),
    *("main", "a.b-c_1", "a b", "1a", "é", "soft_dirty", "''", "'true'", "'6.10'"),
)
DIFFERENT: Final = {
    ("name", "true"): "a name that an editor takes for a boolean, unless it is quoted",
    ("name", "False"): "the same",
    ("name", "TRUE"): "the same",
}
"""The values that the loader takes and the schema does not."""


def readers() -> dict[str, Reader[Any]]:
    """Everything that reads a value, by a name of it."""
    found: dict[str, Reader[Any]] = {"name": values.name, "expect": COUNT, **machine.READERS}
    for op, operation in OPERATIONS.items():
        recorder = KeyRecorder(op)
        operation.build(recorder)
        taken = {key: each.reader for key, each in recorder.taken.items()}
        found |= {op: recorder.argument_taken.reader, **taken}
    return {
        name: reader for name, reader in found.items() if name == "name" or reader != values.name
    }


READERS: Final = readers()


@cache
def values_of_an_editor() -> dict[str, object]:
    """Every scalar as an editor reads it."""
    return {scalar: as_an_editor_reads(scalar) for scalar in SCALARS}


@pytest.mark.parametrize("name", READERS)
def test_each_value_is_right_for_both_or_wrong_for_both(name: str) -> None:
    """Do the readers of the loader and their schemas draw the same line?

    Only the limits of a number that is quoted, or has a unit, no schema can state.
    """
    reader = READERS[name]
    schema = of_reader(reader)
    for scalar, value in values_of_an_editor().items():
        fits = mistakes(schema, value) == []
        differs = (name, scalar) in DIFFERENT
        assert fits == (accepts(reader, scalar.strip("'")) and not differs), scalar


def test_completion_shows_what_everything_means() -> None:
    """Does every key have a description, and do they come from the loader's tables?"""
    owners = [SCHEMA, *SCHEMA["$defs"].values(), SCHEMA["properties"]["machine"]]
    keys = [(key, of) for owner in owners for key, of in owner.get("properties", {}).items()]
    assert len(keys) > 100
    assert [key for key, schema in keys if not schema.get("description")] == []
    assert SCHEMA["$defs"]["fork"]["description"].startswith("`process` forks a child")
    assert SCHEMA["$defs"]["read"]["description"] != SCHEMA["$defs"]["write"]["description"]


def test_no_description_is_left_over() -> None:
    """Does every text belong to a key that there is?"""
    keys = {key for operation in OPERATIONS.values() for key in operation.keys}
    assert set(described.KEYS) == keys
    assert set(described.ARGUMENTS) <= set(OPERATIONS)
    assert set(described.MACHINE) == {*machine.READERS, *machine.SECTIONS}
    assert set(described.SECTIONS) == set(loader.KEYS)
    assert set(described.CLAIMS) == set(checks.KEYS)
