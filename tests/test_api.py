"""Does `import swaptrace` give what the commands print?"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import swaptrace
from swaptrace import api
from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.returned import Shown
from tests.commandline import ROOT, run
from tests.effort import exhaustive
from tests.processes import completed

MICRO = "read-then-write"
HOSTILE = "name: <b>&\nsteps:\n- {mmap: buf, size: 64KiB}\n- {write: buf}\n"


class Own(Policy):
    """As v6.10; what it is called is its class's name."""


def test_run_gives_what_the_command_prints() -> None:
    """Is the JSON of a run that of the command, byte for byte?"""
    ours = swaptrace.run(MICRO, ["old", "final"], steps=True, pages=True).to_json()
    options = ("--policies", "old,final", "--steps", "--pages", "--format", "json")
    assert ours == run("run", MICRO, *options).stdout


def test_explain_gives_what_the_command_prints() -> None:
    """Is the JSON of an explanation that of the command, byte for byte?"""
    ours = swaptrace.explain(MICRO, "rfc", step="3.0").to_json()
    options = ("--policy", "rfc", "--step", "3.0", "--format", "json")
    assert ours == run("explain", MICRO, *options).stdout


@exhaustive
@pytest.mark.parametrize("policies", [["rfc", "final"], ["simple"], ["final", "merged"]])
def test_explore_gives_what_the_command_prints(policies: list[str]) -> None:
    """Is the JSON of a search that of the command, byte for byte?"""
    operations = ["read", "write", "pageout", "clear_refs"]
    ours = swaptrace.explore(policies, processes=1, operations=operations)
    options = ("--processes", "1", "--ops", ",".join(operations), "--format", "json")
    assert ours.to_json() == run("explore", "-p", ",".join(policies), *options).stdout
    assert [row["kind"] for row in ours.rows()] == [line.kind for line in ours.explored.lines]
    assert ours._repr_html_().count("<") == 2


@exhaustive
def test_a_search_that_is_cut_off_is_not_complete() -> None:
    """Is a bound said in the value, and nonsense refused?"""
    assert not swaptrace.explore(["final"], max_states=5).complete
    for wrong in ([], ["old", "new", "rfc"]):
        with pytest.raises(SwaptraceError, match="one policy or two"):
            swaptrace.explore(wrong)
    with pytest.raises(SwaptraceError, match="from 1 to 3"):
        swaptrace.explore(["final"], processes=4)
    with pytest.raises(SwaptraceError, match="no operation 'raed'"):
        swaptrace.explore(["final"], operations=["raed"])


def test_diff_gives_what_the_command_prints(tmp_path: Path) -> None:
    """Is the JSON of a difference that of the command, from values as from files?"""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    replayed = [swaptrace.run(name, ["final"]) for name in (MICRO, "write-only")]
    for path, each in zip((old, new), replayed, strict=True):
        path.write_text(each.to_json())
    printed = run("diff", str(old), str(new), "--format", "json").stdout
    assert swaptrace.diff(old, str(new)).to_json() == printed
    assert not swaptrace.diff(*replayed).empty
    assert swaptrace.diff(replayed[0], old).empty


def test_rows_name_every_counter_that_the_result_has() -> None:
    """Is each counter of each window and policy in the rows, and nothing else but zeroes?"""
    replayed = swaptrace.run([MICRO, "fork-after-pageout"], ["prepatch", "rfc"])
    counted = {
        (scenario.name, window, name): dict(counters)
        for scenario in replayed.result.scenarios
        for name, policy in scenario.policies.items()
        for window, counters in {**policy.windows, "total": policy.total}.items()
    }
    places = ("scenario", "window", "policy")
    rows = {
        tuple(row[place] for place in places): {
            name: count for name, count in row.items() if name not in places and count
        }
        for row in replayed.rows()
    }
    assert rows == counted


def test_compare_has_a_row_for_each_counter_of_each_policy() -> None:
    """Do the rows tell the microbenchmark's difference, against the first policy?"""
    rows = swaptrace.compare(MICRO, ["prepatch", "rfc", "final"]).rows()
    assert {row["base"] for row in rows} == {"prepatch"}
    minflt = {
        row["policy"]: (row["old"], row["new"], row["difference"])
        for row in rows
        if row["window"] == "read_write_data" and row["counter"] == "minflt"
    }
    assert minflt == {"rfc": (512, 0, -512), "final": (512, 0, -512)}
    with pytest.raises(SwaptraceError, match="at least two"):
        swaptrace.compare(MICRO, ["final"])


def test_a_policy_is_given_as_a_class_or_an_object() -> None:
    """Is a class made into a policy that is called as it is, and are two of one name refused?"""
    as_class, as_object = (swaptrace.run(MICRO, [policy]) for policy in (Own, Own()))
    assert as_class.rows() == as_object.rows()
    assert as_class.rows()[0]["policy"] == "Own"
    with pytest.raises(SwaptraceError, match="two policies are called 'Own'"):
        swaptrace.run(MICRO, [Own, "final", Own()])


class Doubtful(Policy):
    """As v6.10, but not all of it is known."""

    undecided = ("it calls a vendor's hook",)


@exhaustive
def test_what_is_not_decided_is_not_ok() -> None:
    """Does a result say why its counts are not the last word, and never that all is well?"""
    replayed = swaptrace.run(MICRO, ["prepatch", Doubtful])
    assert replayed.undecided == ("Doubtful: it calls a vendor's hook",)
    assert not replayed.ok
    assert swaptrace.run(MICRO, ["prepatch"]).ok
    assert not swaptrace.compare(MICRO, ["prepatch", Doubtful]).ok
    searched = swaptrace.explore(["prepatch", Doubtful], processes=1, operations=["read", "write"])
    assert not searched.complete


def test_explained_rows_count_what_the_steps_count() -> None:
    """Do pages times counters of each step's transitions add up to the step's counters?"""
    explained = swaptrace.explain(MICRO, "prepatch")
    for step in explained.explanation.steps:
        rows = [row for row in explained.rows() if row["step"] == step.step]
        total = {
            name: sum(int(str(row["pages"])) * int(str(row[name])) for row in rows)
            for name in ("minflt", "majflt", "pswpin", "pswpout")
        }
        assert total == {name: step.counters.get(name, 0) for name in total}


def test_a_scenario_comes_from_a_file_a_name_or_a_text(tmp_path: Path) -> None:
    """Are they read alike, with overrides, and is a directory refused?"""
    text = (ROOT / "scenarios" / f"{MICRO}.yaml").read_text()
    path = tmp_path / "read-then-write.yaml"
    path.write_text(text)
    disk = {"machine.swap.backend": "disk"}
    loaded = [swaptrace.load(each, disk) for each in (MICRO, path, io.StringIO(text))]
    assert {each.steps for each in loaded} == {loaded[0].steps}
    assert {each.machine.swap.backend for each in loaded} == {"disk"}
    with pytest.raises(SwaptraceError, match="a directory"):
        swaptrace.load(ROOT / "scenarios")
    with pytest.raises(SwaptraceError, match="did you mean"):
        swaptrace.load("read-then-wirte")


def test_a_notebook_shows_a_table_with_hostile_names_escaped() -> None:
    """Is each kind of value shown as one element, and no name taken for markup?"""
    scenario = swaptrace.load(io.StringIO(HOSTILE))
    replayed = swaptrace.run(scenario, ["old", "new"], pages=True)
    compared = swaptrace.compare(scenario, ["old", "new"])
    shown: list[Shown] = [replayed, compared, swaptrace.explain(scenario)]
    for each in [*shown, swaptrace.diff(replayed, replayed)]:
        html = each._repr_html_()
        assert html.startswith("<pre")
        assert html.endswith("</pre>")
        assert html.count("<") == 2
    assert "&lt;b&gt;&amp;" in replayed._repr_html_()


def test_the_interface_is_imported_when_it_is_used() -> None:
    """Does `import swaptrace` import nothing but itself, and know what it offers?"""
    code = (
        "import sys, json, swaptrace; before = [m for m in sys.modules if 'swaptrace.' in m];"
        "names = [n for n in dir(swaptrace) if n in swaptrace.__all__];"
        "print(json.dumps([before, names, callable(swaptrace.run)]))"
    )
    done = completed([sys.executable, "-c", code], text=True, check=True)
    before, names, usable = json.loads(done.stdout)
    assert before == []
    assert names == sorted(swaptrace.__all__)
    assert usable
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        getattr(swaptrace, "runn")  # noqa: B009


def test_a_sweep_is_that_of_the_command(tmp_path: Path) -> None:
    """The same bytes as JSON, and a row for each machine and policy?"""
    over = "machine.memory=50%,100%", "machine.reclaim=classic,lru"
    swept = api.sweep(
        "half-the-memory", dict(each.split("=") for each in over), ["final"], cells=tmp_path
    )
    words = [word for each in over for word in ("--over", each)]
    shown = run("sweep", "half-the-memory", *words, "-p", "final", "--format", "json")
    assert swept.to_json() == shown.stdout
    totals = [row for row in swept.rows() if row["window"] == "total"]
    assert [(row["machine.memory"], row["machine.reclaim"]) for row in totals] == [
        ("50%", "classic"),
        ("50%", "lru"),
        ("100%", "classic"),
        ("100%", "lru"),
    ]
    assert isinstance(totals[0]["majflt"], int)


def test_names_are_given_as_a_text_or_one_by_one() -> None:
    """Is "rfc,final" two policies, "final" one, not five letters, and so for operations?"""
    both = swaptrace.run("read-then-write", "rfc,final").to_json()
    assert both == swaptrace.run("read-then-write", ["rfc", "final"]).to_json()
    one = swaptrace.run("read-then-write", "final").to_json()
    assert one == swaptrace.run("read-then-write", ("final",)).to_json()
    found = swaptrace.explore("rfc,final", processes=1, operations="read,write,pageout")
    assert found.rows() == (
        swaptrace.explore(
            ["rfc", "final"], processes=1, operations=["read", "write", "pageout"]
        ).rows()
    )


def test_sizes_of_a_sweep_are_numbers_too(tmp_path: Path) -> None:
    """Do rows have bytes, by which a plot can be in order?"""
    rows = api.sweep(
        "half-the-memory", {"machine.swap.size": "8MiB,64MiB"}, "final", cells=tmp_path
    ).rows()
    total = [row for row in rows if row["window"] == "total"]
    assert [row["machine.swap.size"] for row in total] == ["8MiB", "64MiB"]
    assert [row["machine.swap.size_bytes"] for row in total] == [8 << 20, 64 << 20]
