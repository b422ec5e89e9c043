"""A new swap device on which the positions of slots matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from swaptrace.kernels import Rule, follows
from swaptrace.reclaim import slots
from swaptrace.replay.pages.nodes import Layout
from swaptrace.scenario.hardware import Machine

NOT_PLACED = np.zeros(1, np.int64)
"""A device without positions."""


def swap_device(machine: Machine) -> np.ndarray[Any, Any]:
    """A new device, as swapon() sets it up (setup_clusters): the first and last cluster, which
    the header and the end cut short, count as in use."""
    size = machine.page_size // 8  # SWAPFILE_CLUSTER is HPAGE_PMD_NR
    total = machine.swap.size // machine.page_size
    clusters = -(-(total + 1) // size)
    heads = clusters + slots.HEADS
    device = np.zeros(slots.HEADER + 4 * heads + clusters * size, np.int64)
    caches = not follows(machine.kernel, Rule.NO_SLOT_CACHE)
    device[slots.PLACED] = 1
    device[slots.CACHES] = caches
    device[slots.NONFULL_FIRST] = follows(machine.kernel, Rule.NONFULL_CLUSTERS_FIRST)
    device[slots.LAZY] = follows(machine.kernel, Rule.LAZY_PREEMPTION)
    device[slots.CLUSTERS] = clusters
    device[slots.CLUSTER_SIZE] = size
    device[slots.END] = total + 1
    device[slots.FREE_PAGES] = total
    # Whoever has used a larger device before has left the cache switched on.
    device[slots.ACTIVE_CACHE] = caches
    bad = np.ones(clusters * size, np.int64)
    bad[1 : total + 1] = 0
    device[slots.HEADER + 4 * heads :] = slots.BAD * bad
    count, flag, after, before = device[slots.HEADER :][: 4 * heads].reshape(4, heads)
    count[:clusters] = bad.reshape(clusters, size).sum(axis=1)
    lists: dict[int, list[int]] = {which: [] for which in range(slots.HEADS)}
    for cluster in range(clusters):
        lists[slots.NONFULL if count[cluster] else slots.FREE].append(cluster)
    for which, members in lists.items():
        ring = [clusters + which, *members]
        flag[members] = which
        after[ring] = np.roll(ring, -1)
        before[ring] = np.roll(ring, 1)
    return device


def slots_moved(device: np.ndarray[Any, Any], old: Layout, to: Layout) -> None:
    """The nodes of slots have other numbers."""
    heads = int(device[slots.CLUSTERS]) + slots.HEADS
    holders = device[slots.HEADER + 4 * heads :]
    nodes = holders > slots.NOBODY
    holders[nodes] = old.moved(holders[nodes] - 1, to) + 1
