"""The report on how far the model agrees with real kernels, `docs/fidelity.md`.

python -m tests.kernel.fidelity > docs/fidelity.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.kernel import limits
from tests.kernel.known import KNOWN_DIFFERENCES
from tests.kernel.observed import FOLIOS, Observation, first_difference, observations

INTRODUCTION = """\
# Fidelity

How far the model agrees with real kernels. This page is made by
`python -m tests.kernel.fidelity`, and a test holds it to what that says.

An observation is what one kernel counted for one scenario, step by step: `minflt` and
`majflt` of the process that executes the step, `pswpin`, `pswpout`, `swap_ra`, `swap_ra_hit`,
`zswpin`, `zswpout`, `swpin_zero`, `swpout_zero`, userfaultfd events, segmentation faults, and the
page map of every process and region after every step. It agrees if all of that is the same
after every step; there is no tolerance. An observation counts once for each policy that it
holds for.
[How they were made](../tests/kernel/README.md).
"""

OUTLOOK = """\
## Known differences

{known}

## Large folios

Linux 6.18.4, and an untouched Debian 7.3.4, with the sizes named always used
(`hugepages-*/enabled`) and memory in plenty. Counted as well is what `hugepages-*/stats` counts,
but not where there were two sizes.

| kernel | sizes | back end | page-cluster | scenarios | observations | agree |
|---|---|---|--:|--:|--:|--:|
{folios}

## Under a memory limit

One process in a memory cgroup, swap on zram, 6.12.117, with the flushes of statistics and of
batches forced: faults and swap traffic at eleven points, and the page map at the end. All of them
agree; `python -m tests.kernel.limits` compares them, and so does a test.

| LRU | page-cluster | policies | workloads | observations |
|---|--:|---|--:|--:|
{limits}

Those of `mglru` are of an untouched Debian kernel. One thing in it is a matter of speed,
[when a process counts as having run](model.md#the-multi-generational-lru): what the model assumes
is right for all of these, but on a faster or slower machine long reclaims may come out differently.

With folios of 64 KiB the runs of a kernel differ among themselves: 16 workloads on 6.12.117,
`classic` on zram, three runs each. What is the same in all three is exact, all of `seq` and
`stride` among it. Of the other twelve eight end within the spread of the three, and the rest up to
0.6 % beside it (`python -m tests.kernel.foliolimits`).

## What the observations do not cover

Under a memory limit they are of one process that reads and writes: what several processes, advice,
mlock, zswap and disks do there follows from the kernel's source.


They are of x86-64 with pages of 4 KiB. What the model says of `hw_dirty: false`,
`mkwrite_dirties: true`, other page sizes and `soft_dirty: false` follows from the same
functions and was not seen on a machine that is built that way. Counters that no kernel
shows (`zero_fill`, `zero_page`, `wp_reuse`, `wp_copy`, `spurious_dirty`, `rewrites`) are the
model's own, as are the violations.
"""


def report() -> str:
    """The whole page."""
    known = [f"- `{name}`: {reason}" for name, reason in sorted(KNOWN_DIFFERENCES.items())]
    return (
        "\n".join(
            [
                INTRODUCTION,
                *table(),
                "",
                *by_policy(),
                "",
                OUTLOOK.format(
                    known="\n".join(known) or "None.",
                    folios="\n".join(large()),
                    limits="\n".join(limited()),
                ),
            ]
        ).rstrip()
        + "\n"
    )


def agrees(observation: Observation) -> int:
    """For how many of its policies an observation agrees."""
    return sum(first_difference(observation, policy) is None for policy in observation.policies)


def table() -> Iterator[str]:
    """Kernels and back ends."""
    total: Counter[tuple[str, str, int]] = Counter()
    good: Counter[tuple[str, str, int]] = Counter()
    scenarios: dict[tuple[str, str, int], set[str]] = {}
    for o in observations():
        key = (o.kernel, o.backend, o.machine["swap"]["page_cluster"])
        total[key] += len(o.policies)
        good[key] += agrees(o)
        scenarios.setdefault(key, set()).add(o.scenario)
    yield "| kernel | back end | page-cluster | scenarios | observations | agree |"
    yield "|---|---|--:|--:|--:|--:|"
    for key in sorted(total):
        kernel, backend, cluster = key
        counts = f"{len(scenarios[key])} | {total[key]} | {good[key]}"
        yield f"| {kernel} | {backend} | {cluster} | {counts} |"
    names = {o.scenario for o in observations()}
    yield f"| **all** | | | {len(names)} | {total.total()} | {good.total()} |"


def by_policy() -> Iterator[str]:
    """Policies."""
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    for o in observations():
        for policy in o.policies:
            total[policy] += 1
            good[policy] += first_difference(o, policy) is None
    yield "| policy | observations | agree |"
    yield "|---|--:|--:|"
    for policy in sorted(total):
        yield f"| {policy} | {total[policy]} | {good[policy]} |"


def large() -> Iterator[str]:
    """Machines with large folios."""
    grouped: dict[tuple[str, str, str, int], list[Observation]] = {}
    for o in observations(FOLIOS):
        key = (o.kernel, ", ".join(o.machine["thp"]), o.backend, o.machine["swap"]["page_cluster"])
        grouped.setdefault(key, []).append(o)
    for key, seen in sorted(grouped.items()):
        total = sum(len(o.policies) for o in seen)
        counts = f"{len({o.scenario for o in seen})} | {total} | {sum(map(agrees, seen))}"
        yield f"| {' | '.join(map(str, key))} | {counts} |"


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
