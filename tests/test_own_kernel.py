"""Does each policy run on the kernel that it is said to be of?"""

from __future__ import annotations

import json

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError, SwaptraceError
from swaptrace.replay.engine import Replay
from swaptrace.scenario.loader import load_text
from swaptrace.verify.run import check_policy
from tests.commandline import run
from tests.effort import exhaustive
from tests.ktree.wholes import SMALL

SHORT = "steps: [{mmap: page, size: 4KiB}]\n"


def replay(machine: str, policy: str) -> Replay:
    """The policy on a scenario's machine."""
    return Replay(load_text(f"machine: {machine}\n{SHORT}"), policies.find(policy))


def test_the_kernel_of_a_policy_sets_what_the_scenario_leaves_open() -> None:
    """Is the machine that of the version behind the @, and what the scenario says left alone?"""
    machine = replay("{kernel: 6.12, per_vma_lock: true}", "prepatch@6.1").world.machine
    assert (machine.kernel, machine.zeromap, machine.per_vma_lock) == ("6.1", False, True)


def test_a_kernel_that_is_not_pinned_yields_to_the_scenario() -> None:
    """Does a policy of a version of its own take it only where the scenario says none?"""
    policy = policies.find("merged")
    policy.kernel = "7.3"
    said = Replay(load_text(f"machine: {{kernel: 6.18}}\n{SHORT}"), policy)
    unsaid = Replay(load_text(SHORT), policy)
    assert (said.world.machine.kernel, unsaid.world.machine.kernel) == ("6.18", "7.3")


def test_fork_after_pageout_on_two_kernels_side_by_side() -> None:
    """Does 7.3 swap in through the cache without read-ahead, where 6.18 reads ahead?"""
    wanted = ("--policies", "merged@6.18,merged@7.2,merged@7.3", "--format", "csv")
    rows = [line.split(",") for line in run("run", "fork-after-pageout", *wanted).stdout.split()]
    parent = {(policy, counter): value for _, policy, w, counter, value in rows if w == "parent"}
    counted = {(policy, parent[policy, "minflt"], parent[policy, "majflt"]) for policy, _ in parent}
    assert counted == {
        ("merged@6.18", "959", "65"),
        ("merged@7.2", "512", "512"),
        ("merged@7.3", "512", "512"),
    }


def test_an_alias_has_a_kernel_too() -> None:
    """Is `new@7.3` the policy `final` on 7.3, by that name?"""
    policy = policies.find("new@7.3")
    assert (policy.name, policy.kernel) == ("final@7.3", "7.3")


def test_a_kernel_that_is_not_modelled_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"'6\.0' is not a kernel that is modelled; valid: 6\.1 "):
        policies.find("merged@6.0")


OPS = ("--ops", "read,write,pageout,fork,exit")


def test_explore_tells_kernels_apart() -> None:
    """Is there a sequence for the same policy on two kernels, and is it said which they are?"""
    words = ("explore", "--policies", "merged@6.19,merged@7.0", *OPS, "--format", "json")
    done = run(*words)
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert found["kernels"] == {"merged@6.19": "6.19", "merged@7.0": "7.0"}
    assert "kernel" not in found["machine"]
    assert "of the kernels 6.19 and 7.0" in found["proof"]
    assert {"wp_reuse", "minflt"} <= {each["kind"] for each in found["differences"]}


def test_explore_proves_kernels_equal() -> None:
    """Of two between which nothing about one page changed: by states, as equal decisions on two
    kernels are no proof?"""
    done = run("explore", "--policies", "merged@6.18,merged@6.19", *OPS)
    assert (done.exit_code, "proof by enumeration" in done.stdout) == (0, True)


@exhaustive
def test_two_policies_on_one_kernel_of_their_own_are_decided_on_that() -> None:
    """Is nothing said of two kernels?"""
    done = run("explore", "--policies", "final@7.3,merged@7.3", *OPS)
    assert done.exit_code == 0
    assert "proof by equal decisions" in done.stdout
    assert "machine.kernel=7.3" in done.stdout
    assert "of the kernels" not in done.stdout


def test_verify_has_the_kernel_that_runs() -> None:
    """Is a version refused where the kernel that runs decides?"""
    with pytest.raises(SwaptraceError, match="leave @VERSION out"):
        check_policy("merged@7.3", ())


def test_verify_leaves_functions_of_a_tree_to_the_built_in_model() -> None:
    """Does --builtin reach the policy, and is a wrong name refused before anything runs?"""
    tree = f"kernel:{SMALL / 'after'}"
    (policy,) = check_policy(tree, (), ("do_wp_page",))
    assert "do_wp_page() is the built-in one" in policy.unproved
    assert "do_wp_page()" not in policy.interpreted
    done = run("verify", "read-then-write", "--policies", tree, "--builtin", "do_swap_pages")
    assert done.exit_code == 2
    assert "--builtin: the model has no 'do_swap_pages'" in done.stderr
