"""Which machines there is a model of under which policy, and the error where there is none.

All of it is known before the first step, so that the error is about a setting of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable

from swaptrace.backends import BACKENDS
from swaptrace.errors import Problem, ScenarioError
from swaptrace.features import Feature, has_model
from swaptrace.kernels import BATCHES_READ, Rule, follows
from swaptrace.mm.policy import Policy
from swaptrace.scenario.hardware import Machine, NoModel
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.source import SourceMark, SourceText, blamed, problem
from swaptrace.scenario.thp import large_folios, sizes


def check_machine(
    scenario: Scenario, machine: Machine, policy: Policy, placed: bool = False
) -> None:
    """Raise `ScenarioError` for a machine of a scenario that no model is there for under a policy,
    which may have brought its kernel; `placed` as in `unmodelled`."""
    found = unmodelled(machine, placed)
    if found is not None:
        brought = "kernel" in found.keys and machine.kernel != scenario.machine.kernel
        what = f"; Linux {machine.kernel} is that of policy {policy.name!r} (--policies)"
        raise ScenarioError([problem_of(scenario, found.keys, f"{found}{what * brought}")])
    refused = in_trees(machine, policy)
    if refused is not None:
        what = f"{refused.what} ({policy.name!r} of --policies)"
        raise ScenarioError([problem_of(scenario, refused.keys, f"{what}; {refused.right}")])


def problem_of(scenario: Scenario, keys: Iterable[str], message: str) -> Problem:
    """A problem of settings of the machine, where the scenario, or the command line, says them. The
    machine of a scenario that was not read from a text is said nowhere; then it is at its
    beginning."""
    beginning = SourceMark(SourceText(scenario.file, scenario.text), 1, 1)
    return problem(blamed(keys, scenario.said) or beginning, message)


def unmodelled(machine: Machine, placed: bool = False) -> NoModel | None:
    """What of a machine there is no model of, whatever the policy; `placed` is that its swap slots
    have positions."""
    found = machine.unmodelled
    if found is None and large_folios(machine.thp):
        found = of_large_folios(machine)
    if found is None and machine.lru_batch:
        found = of_batches(machine, placed and not large_folios(machine.thp))
    return found


def of_large_folios(machine: Machine) -> NoModel | None:
    """Of a machine that allows them."""
    what = right = ""
    keys: tuple[str, ...] = ()
    if not has_model(machine.kernel, Feature.LARGE_FOLIOS):
        what, right = "before Linux 6.8", f"give 'kernel: 6.8' or later, not {machine.kernel}"
        keys = ("kernel",)
    elif machine.swap.backend == "zswap" and not stores_all(machine):
        what = "with zswap before Linux 6.13, which does not store them"
        right, keys = "give 'kernel: 6.13'", ("kernel", "swap.backend")
    elif machine.page_size != 4096:
        what, right = "with pages of another size than 4KiB", "leave 'page_size' out"
        keys = ("page_size",)
    elif machine.memory is not None:
        return limited(machine)
    if not what:
        return None
    return NoModel(f"large folios (machine.thp) are not modelled {what}", right, (*keys, "thp"))


def stores_all(machine: Machine) -> bool:
    """Whether zswap stores all that comes to it: large folios, too; or none come, as up to 6.9 only
    those of 2 MiB are swapped out whole."""
    if follows(machine.kernel, Rule.SWAPS_OUT_WHOLE):
        return has_model(machine.kernel, Feature.LARGE_IN_ZSWAP)
    return not allows_huge(machine)


def allows_huge(machine: Machine) -> bool:
    """Whether some are of 2 MiB."""
    return any(each.size == "2MiB" and each.enabled != "never" for each in sizes(machine.thp))


def limited(machine: Machine) -> NoModel | None:
    """Of one that has a memory limit, too."""
    backend = machine.swap.backend
    if not has_model(machine.kernel, Feature.LARGE_LIMITED):
        right = f"give 'kernel: 6.12' or later, not {machine.kernel}"
        what, key = "before Linux 6.12", "kernel"
    elif machine.reclaim == "lru":
        what, right, key = "with 'reclaim: lru'", "give 'reclaim: classic'", "reclaim"
    elif not BACKENDS[backend].synchronous_io:
        what, right, key = f"on {backend}", "give 'swap: zram'", "swap.backend"
    elif allows_huge(machine):
        what, right, key = "if they are of 2MiB", "give sizes up to 1MiB", "thp.2MiB"
    else:
        return None
    subject = "large folios (machine.thp) are not modelled under a memory limit"
    return NoModel(f"{subject} {what}", right, (key, "memory", "thp"))


def of_batches(machine: Machine, placed: bool) -> NoModel | None:
    """Of one that keeps the per-CPU batch. Without a cache of swap slots it is known how many are
    in use, and an error only where one would be taken back."""
    placed = placed and not follows(machine.kernel, Rule.NO_SLOT_CACHE)
    if machine.kernel not in BATCHES_READ:
        known = ", ".join(BATCHES_READ)
        what = f"machine.lru_batch is modelled as in Linux {known}, not as in {machine.kernel}"
        return NoModel(what, "give one of them as 'kernel'", ("kernel", "lru_batch"))
    others = {
        "memory": ("under a memory limit", machine.memory is not None),
        "swap.size": ("where the swap device fills before Linux 6.15", placed),
    }
    for key, (what, is_so) in others.items():
        if is_so:
            right = "give it twice the memory" if placed else "leave out one of them"
            subject = f"machine.lru_batch is not modelled {what}"
            return NoModel(subject, right, ("lru_batch", key))
    return None


def in_trees(machine: Machine, policy: Policy) -> NoModel | None:
    """Of a machine with large folios under a kernel tree."""
    if not policy.functions or not large_folios(machine.thp):
        return None
    what = "large folios (machine.thp) are not modelled under a policy that is a kernel tree"
    if not policy.takes_large:
        return NoModel(what, "give one of Linux 6.12, 7.2 or 7.3, or leave 'thp' out", ("thp",))
    if not follows(machine.kernel, Rule.SWAPS_IN_WHOLE):
        return NoModel(
            f"{what} before Linux 6.12", "give 'kernel: 6.12' or later", ("kernel", "thp")
        )
    return None
