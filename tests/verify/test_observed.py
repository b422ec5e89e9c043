"""Is a program's output read as it was written, and damage told?"""

from __future__ import annotations

import json

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify.observed import parse

FACTS = {
    "schema": "swaptrace.observed/1",
    "kernel": "6.18.44",
    "release": "6.18.44-custom",
    "smp": True,
    "arch": "x86_64",
    "page_size": 4096,
    "page_cluster": 3,
    "soft_dirty": False,
    "uffd_wp": True,
    "zswap": False,
    "swap": [{"device": "/dev/zram1", "size": 4096, "used": 0}],
    "counters": ["pswpin", "pswpout"],
}
STEP = {
    "step": "3[2].0",
    "errno": 12,
    "counters": {"minflt": 1, "majflt": 0, "pswpin": 2},
    "pages": {"main": {"buf": "4PX"}},
}


def text(*lines: object) -> str:
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def test_what_a_step_showed() -> None:
    """Are zeroes left out, and is the errno a name?"""
    observed = parse(text(FACTS, STEP))
    assert observed.facts.version == (6, 18)
    (step,) = observed.steps
    assert (step.step, step.errno) == ("3[2].0", "ENOMEM")
    assert step.counters == {"minflt": 1, "pswpin": 2}
    assert step.pages == {"main": {"buf": "4PX"}}


def test_only_counters_that_the_kernel_has_are_compared() -> None:
    assert parse(text(FACTS)).facts.counted == {
        *(
            "minflt",
            "majflt",
            "uffd_wp",
            "uffd_rwp",
            "uffd_missing",
            "sigsegv",
            "sigbus",
            "pswpin",
            "pswpout",
        ),
    }


@pytest.mark.parametrize(("key", "attribute"), [("skip", "skipped"), ("failed", "failed")])
def test_why_a_program_ended_early(key: str, attribute: str) -> None:
    observed = parse(text(FACTS, STEP, {key: "no uffd"}))
    assert getattr(observed, attribute) == "no uffd"
    assert len(observed.steps) == 1


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    assert len(parse(text(FACTS, STEP) + text(STEP)[:30]).steps) == 1


def test_a_line_that_a_dead_process_cut_off_is_left_out() -> None:
    """Is it the reason that is told, and not damage?"""
    observed = parse(text(FACTS, STEP) + text(STEP)[:30] + "\n" + text({"failed": "it died"}))
    assert (len(observed.steps), observed.failed) == (1, "it died")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "the program printed nothing"),
        (text({"failed": "cannot set up: no"}), "could not begin: cannot set up: no"),
        ("hello\n", "damaged: line 1: 'hello' is no JSON object"),
        (text(FACTS, [1]), "damaged: line 2: '[1]' is no JSON object"),
        (text({**FACTS, "schema": "else"}), "the first line is no swaptrace.observed/1"),
        (text({**FACTS, "more": 1}), "damaged: TypeError"),
        (text({**FACTS, "kernel": "zero"}), "damaged: ValueError"),
        (text(FACTS, {**STEP, "errno": "x"}), "damaged: ValueError"),
        (text(FACTS, {"step": "0"}), "damaged: KeyError"),
        (text(FACTS, {**STEP, "pages": 3}), "damaged: AttributeError"),
        (text(FACTS, {**STEP, "counters": {"minflt": "many"}}), "damaged: ValueError"),
    ],
)
def test_damaged_output_is_an_error(output: str, message: str) -> None:
    with pytest.raises(SwaptraceError, match="the program") as caught:
        parse(output)
    assert message in str(caught.value)
