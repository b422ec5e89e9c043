"""Scenarios, observations and kernels for the tests of `swaptrace.verify`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.backends import NO_SWAP
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.compare import Beside
from swaptrace.verify.fitting import machine_for
from swaptrace.verify.leaves import leaves
from swaptrace.verify.observed import COUNTED, OF_A_PROCESS, KernelFacts, Observed, SwapArea

CAN_SET_UP = os.geteuid() == 0 and Path("/sys/class/zram-control").is_dir()

on_this_kernel = pytest.mark.skipif(
    not CAN_SET_UP, reason="a zram device can be made only by root, where the kernel has zram"
)

FACTS = KernelFacts(
    kernel="6.12.1",
    release="6.12.1-test",
    smp=True,
    arch="x86_64",
    page_size=4096,
    page_cluster=3,
    soft_dirty=True,
    uffd_wp=True,
    zswap=False,
    swap=(SwapArea("/dev/zram7", 256 << 20, 0),),
    counters=tuple(sorted(COUNTED - set(OF_A_PROCESS))),
    ksm=True,
)
"""Of a kernel on which everything that is modelled can be seen."""

READ_WRITE = """\
name: read-write
machine: {swap: zram}
steps:
- {mmap: buf, size: 16KiB}
- {memset: buf, value: 17}
- {madvise: buf, advice: MADV_PAGEOUT}
- measure: back
  steps:
  - {read_write: buf}
"""

LIMITED = """\
machine: {memory: 64KiB, stat_flush: 3, lru_drain: 2, swap: {backend: zram, page_cluster: 0}}
steps:
- {mmap: buf, size: 128KiB}
- {write: buf}
- {access: buf, pattern: hot, hot_pages: 8, hot_share: 0.9, count: 200, write_share: 0.3}
"""

FORKING = """\
steps:
- {mmap: buf, size: 64KiB}
- {write: buf}
- {fork: child}
- repeat: 2
  steps:
  - {madvise: buf, advice: PAGEOUT, length: 8KiB}
  - {write: buf, process: child}
- {mlock: buf, process: child, length: 4KiB}
- {madvise: buf, process: child, advice: PAGEOUT, errno: EINVAL}
- {exit: child}
"""


def scenario(text: str = READ_WRITE, name: str = "test") -> Scenario:
    return load_text(text, f"{name}.yaml", name=name)


def shown(of: Scenario, policy: str = "merged", facts: KernelFacts = FACTS) -> Observed:
    """What a kernel would show that does exactly what the model does under the policy."""
    swap = of.machine.swap
    areas = () if swap.backend == NO_SWAP else (SwapArea("/dev/zram7", swap.size, 0),)
    facts = replace(facts, page_cluster=swap.page_cluster, swap=areas)
    there = replace(of, machine=machine_for(of, facts))
    replay = Beside(there, Table(policies.find(policy)))
    steps = [replay.show(path, step, facts.counted) for path, step in leaves(of.steps)]
    return Observed(facts, tuple(steps))


ANYWHERE = """\
machine: {swap: {size: 16MiB}}
steps:
- {mmap: libc, size: 64KiB, at: 0x7f1234560000}
- {mmap: heap, size: 64KiB, at: 0x55d0c0ffe000}
- {mmap: text, size: 64KiB, at: 0x400000}
- {mmap: huge, size: 100GiB, flags: [MAP_NORESERVE]}
- {write: huge, length: 16KiB}
- {write: libc}
- {write: heap}
- {write: text}
- {madvise: libc, advice: PAGEOUT}
- {madvise: heap, advice: PAGEOUT}
- {read_write: libc}
- {read_write: heap}
"""
"""Regions as they lie in a process, and one of which most is never touched."""
