"""Do the reports on kernels show every verdict, its reason and its difference?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from swaptrace.report.verify import ktap, verify_report
from swaptrace.result.verdict import Difference, KernelRun, ShownSide, Status, Verdict, to_json
from swaptrace.result.verdictschema import verify_schema
from swaptrace.terminal.output import Output
from tests.goldens import check_golden
from tests.schemas import closed, mistakes

DIFFERENCE = Difference(
    step="3[1].0",
    line=9,
    process="child",
    op="read_write",
    model=ShownSide(
        errno=None,
        counters={"minflt": 4, "pswpin": 0},
        pages={"main": {"buf": "4PDX"}},
    ),
    kernel=ShownSide(
        errno="ENOMEM",
        counters={"minflt": 0, "pswpin": 12},
        pages={"main": {"buf": "1PDX,3S"}, "other": {"buf": "4-"}},
    ),
)
SMALL = replace(
    DIFFERENCE, kernel=ShownSide(None, {"minflt": 0}, {}), model=ShownSide(None, {"minflt": 4}, {})
)
AGAIN = Verdict("strange", "strange.yaml", "merged", Status.DIFFERS, None, DIFFERENCE)
UNSTEADY = Verdict(
    "stray",
    "stray.yaml",
    "merged",
    Status.UNSTEADY,
    "differed at step 3[1].0, but agreed when it was repeated",
    SMALL,
    elsewhere={"pswpin": 2, "pswpout": 31},
)
FIRST = KernelRun(
    "running kernel",
    "6.18.44",
    (
        Verdict("read-write", "scenarios/read-write.yaml", "merged", Status.AGREES),
        Verdict("a#b", "a#b.yaml", "merged", Status.SKIPPED, "no soft-dirty bits"),
        Verdict("forked", "forked.yaml", "merged", Status.DIFFERS, None, DIFFERENCE),
        replace(UNSTEADY, repetition=Verdict("stray", "stray.yaml", "merged", Status.AGREES)),
        replace(UNSTEADY, name="strange", elsewhere={}, repetition=AGAIN),
        Verdict("killed", "killed.yaml", "merged", Status.FAILED, "killed by SIGKILL", SMALL),
        Verdict("hung", "hung.yaml", None, Status.NOT_RUN, "it did not end within 60 seconds"),
        Verdict("twin", "twin.yaml", "merged", Status.DIFFERS, None, SMALL, same_as="forked"),
    ),
)
SECOND = replace(
    FIRST,
    place="vmlinuz-6.1",
    kernel=None,
    verdicts=tuple(Verdict(v.name, v.file, "prepatch", Status.AGREES) for v in FIRST.verdicts),
)


def table(runs: list[KernelRun], capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    Output().show(verify_report(runs, **how))
    return capsys.readouterr().out


def test_the_table(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """Are there a row for each scenario, a column for each kernel, and all reasons?"""
    check_golden(request, "verify/one-kernel.txt", table([FIRST], capsys))
    check_golden(request, "verify/two-kernels.txt", table([FIRST, SECOND], capsys))
    notable = table([FIRST, SECOND], capsys, only_notable=True)
    assert "read-write" not in notable.split("\n\n")[0]
    assert "stray" in notable


def test_kernels_of_different_releases_are_told_apart_by_these(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Is a column not as wide as the path of an image, unless two have the same release?"""
    path = "/somewhere/linux-image-6.1.0-56-cloud-amd64/boot/vmlinuz-6.1.0-56-cloud-amd64"
    other = replace(SECOND, place=path, kernel="6.1.0-56-cloud-amd64")
    head, *_, summary = table([replace(FIRST, place="bzImage"), other], capsys).splitlines()
    assert head.split() == ["scenario", "6.18.44", "6.1.0-56-cloud-amd64"]
    assert summary.startswith(f"{path}, 6.1.0-56-cloud-amd64 under prepatch: ")
    same = table([FIRST, replace(FIRST, place="bzImage")], capsys)
    assert same.split("\n")[0].split("  ")[-1] == "bzImage, 6.18.44"


def test_ktap(request: pytest.FixtureRequest) -> None:
    """Is it KTAP version 1, with a skip as a directive and a difference as diagnostics?"""
    check_golden(request, "verify/one-kernel.ktap", ktap([FIRST]))
    check_golden(request, "verify/two-kernels.ktap", ktap([FIRST, SECOND]))


def test_json(request: pytest.FixtureRequest) -> None:
    """Does each scenario say what the format promises, and each side only what differs?"""
    check_golden(request, "verify/one-kernel.json", to_json([FIRST]))
    found = json.loads(to_json([FIRST, SECOND]))
    assert found["schema"] == "swaptrace.verify/2"
    assert [kernel["place"] for kernel in found["kernels"]] == ["running kernel", "vmlinuz-6.1"]
    assert json.loads(to_json([FIRST]))["scenarios"] == found["kernels"][0]["scenarios"]


def test_what_is_printed_fits_the_schema() -> None:
    """Does it know every key and status, of one kernel and of several, and nothing else?"""
    schema = closed(verify_schema())
    assert mistakes(schema, json.loads(to_json([FIRST]))) == []
    assert mistakes(schema, json.loads(to_json([FIRST, SECOND]))) == []
    assert {verdict.status for verdict in FIRST.verdicts} == set(Status)
    other = to_json([FIRST]).replace('"not run"', '"not_run"')
    assert mistakes(schema, json.loads(other)) != []


def test_a_kernel_that_ended_before_others_did(capsys: pytest.CaptureFixture[str]) -> None:
    """Has a scenario that was not reached there a cell of its own?"""
    short = replace(SECOND, verdicts=SECOND.verdicts[:1])
    lines = table([FIRST, short], capsys).splitlines()
    assert lines[2].split()[-1] == "agrees"
    assert lines[3].split()[-1] == "-"


def test_a_page_map_that_is_long_is_cut_in_reports_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = replace(
        DIFFERENCE, kernel=replace(DIFFERENCE.kernel, pages={"main": {"buf": "1P," * 999}})
    )
    run = replace(FIRST, verdicts=(Verdict("x", "x", "merged", Status.DIFFERS, None, long),))
    assert max(map(len, table([run], capsys).splitlines())) < 600
    assert "1P," * 999 in to_json([run])
