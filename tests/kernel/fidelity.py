"""The report on how far the model agrees with real kernels, `docs/fidelity.md`.

python -m tests.kernel.fidelity > docs/fidelity.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.kernel import limits
from tests.kernel.known import KNOWN_DIFFERENCES
from tests.kernel.observed import FOLIOS, Observation, first_difference, observations

INTRODUCTION = """\
# Fidelity

How far the model agrees with real kernels. `python -m tests.kernel.fidelity` makes this page, a
test checks it.

An [observation](../tests/kernel/README.md) is what one kernel counted for one scenario, after every
step: faults, swap traffic, userfaultfd events, segmentation faults, and all page maps. It agrees if
all is equal. An observation counts once for each policy that it holds for.
"""

NONE = """\
None among these. 6.18.15 lacks a fix that 6.12.117 and 6.18.44 have, by which `pagemap_scan` takes
pages without a page table for written. From 6.12 to 6.14, with large folios, slots that a CPU keeps
back count as free, which can show where hardly any 2 MiB are free in one piece. Also
[large folios](large-folios.md),
[under a memory limit](verify.md#under-a-memory-limit),
[what is left out](model.md#what-is-left-out)."""

OUTLOOK = """\
## Known differences

{known}

## Large folios

Sizes are `always`, memory is plentiful; `hugepages-*/stats` is compared too, except with two sizes.

| kernel | sizes | back end (page-cluster) | scenarios | observations | agree |
|---|---|---|--:|--:|--:|
{folios}

## Under a memory limit

One process in a memory cgroup, zram, 6.12.117, flushes of statistics and batches forced: faults and
swap traffic at eleven points, and the page map at the end. All agree
(`python -m tests.kernel.limits`).

| LRU | page-cluster | policies | workloads | observations |
|---|--:|---|--:|--:|
{limits}

`mglru` depends on speed in [one point](model.md#the-multi-generational-lru): what the model assumes
holds for these, but elsewhere long reclaims may differ.

With folios of 64 KiB three runs of 6.12.117 differ. What is the same in all is exact (16
workloads, `classic`). Of the other twelve, eight end within their spread, the rest up to 0.6 %
outside (`python -m tests.kernel.foliolimits`), as half of fourth runs would be. Of scenarios with
random advice on folios of 16 to 64 KiB all 62 agreed that were steady (6.12.117, 6.18.15, 7.2.12);
under `mglru` 24 of 24, with which its rules were found.

## What the observations do not cover

All are of x86-64 with 4 KiB pages. `hw_dirty: false`, `mkwrite_dirties: true`, other page sizes and
`soft_dirty: false` were not seen on real machines of that kind, and violations and counters that no
kernel shows are the model's own. Under a memory limit, several processes, advice, mlock, zswap and
disks follow from the kernel's source.
"""


def report() -> str:
    """The whole page."""
    return page(table(), large(), limited())


def words() -> list[str]:
    """The lines of the page that are not of tables, for which no observation is replayed."""
    return outside_tables(page([], [], []))


def outside_tables(text: str) -> list[str]:
    """The lines that are not of tables, nor empty."""
    return [line for line in text.splitlines() if line and not line.startswith("|")]


def page(kernels: Iterable[str], sizes: Iterable[str], memory: Iterable[str]) -> str:
    """The page with the rows of its three tables."""
    known = [f"- `{name}`: {reason}" for name, reason in sorted(KNOWN_DIFFERENCES.items())]
    return (
        "\n".join(
            [
                INTRODUCTION,
                *kernels,
                "",
                OUTLOOK.format(
                    known="\n".join(known) or NONE,
                    folios="\n".join(sizes),
                    limits="\n".join(memory),
                ),
            ]
        ).rstrip()
        + "\n"
    )


def agrees(observation: Observation) -> int:
    """For how many of its policies an observation agrees."""
    return sum(first_difference(observation, policy) is None for policy in observation.policies)


def table() -> Iterator[str]:
    """Kernels, with their back ends."""
    seen: dict[str, list[Observation]] = {}
    for o in observations():
        seen.setdefault(o.kernel, []).append(o)
    yield "| kernel | back end (page-cluster) | scenarios | observations | agree |"
    yield "|---|---|--:|--:|--:|"
    for kernel in sorted(seen):
        yield f"| {kernel} | {backends(seen[kernel])} | {sums(seen[kernel])} |"
    yield f"| **all** | | {sums(list(observations()))} |"


def backends(seen: Sequence[Observation]) -> str:
    """Each with the values of page-cluster."""
    found = sorted({(o.backend, o.machine["swap"]["page_cluster"]) for o in seen})
    named = {name: [str(n) for each, n in found if each == name] for name, _ in found}
    return ", ".join(f"{name} ({'/'.join(clusters)})" for name, clusters in named.items())


def sums(seen: Sequence[Observation]) -> str:
    """How many scenarios and observations, and how many of these agree."""
    total = sum(len(o.policies) for o in seen)
    return f"{len({o.scenario for o in seen})} | {total} | {sum(map(agrees, seen))}"


def large() -> Iterator[str]:
    """Machines with large folios, by sizes."""
    grouped: dict[tuple[str, str], list[Observation]] = {}
    for o in observations(FOLIOS):
        grouped.setdefault((o.kernel, ", ".join(o.machine["thp"])), []).append(o)
    for (kernel, sizes), seen in sorted(grouped.items()):
        yield f"| {kernel} | {sizes} | {backends(seen)} | {sums(seen)} |"


def limited() -> Iterator[str]:
    """What there is under a memory limit, by LRU and page-cluster."""
    seen = [((o.reclaim, o.facts["page_cluster"]), o.facts) for o in limits.observations()]
    for reclaim, cluster in sorted({key for key, _ in seen}):
        these = [facts for key, facts in seen if key == (reclaim, cluster)]
        names = ", ".join(sorted({facts["policy"] for facts in these}))
        workloads = {facts["workload"] for facts in these}
        yield f"| `{reclaim}` | {cluster} | {names} | {len(workloads)} | {len(these)} |"


if __name__ == "__main__":
    print(report(), end="")
