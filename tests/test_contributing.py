"""Does adding a thing of each kind work as `docs/contributing.md` says?"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from swaptrace.counters import MTHP, RECLAIM_COUNTERS, VMSTAT
from swaptrace.kernels import KERNELS, Rule, follows, implied
from swaptrace.mm.event import Facts
from swaptrace.replay.runs.batch import KNOWN
from swaptrace.replay.world import static_facts
from swaptrace.scenario.fields import ALIGNED
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.verify.fitting import X86
from tests.commandline import ROOT
from tests.effort import exhaustive, some
from tests.processes import completed
from tests.test_docs import blocks

PAGE = ROOT / "docs" / "contributing.md"
SECTION = re.compile(r"^## ", re.MULTILINE)
TITLES = [text.splitlines()[0] for text in SECTION.split(PAGE.read_text())[1:]]
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def copied(to: Path) -> Path:
    """What a change is made to."""
    shutil.copytree(
        ROOT / "swaptrace", to / "swaptrace", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "scenarios", to / "scenarios")
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def apply(diff: str, tree: Path, *options: str) -> None:
    """As `git apply` does, in no repository."""
    nowhere = {"PATH": os.environ["PATH"], "GIT_DIR": "/nonexistent"}
    completed(
        ["git", "apply", *options, "-"], stdin=diff, text=True, cwd=tree, env=nowhere, check=True
    )


def typed(line: str, tree: Path) -> str:
    """What a command prints that is typed in the changed tree."""
    words = shlex.split(line)
    assert words[0] == "swaptrace"
    env = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", *words]
    done = completed(command, text=True, cwd=tree, env=env)
    assert done.returncode == 0, done.stderr
    return str(done.stdout + done.stderr)


def changed(section: str, tree: Path) -> str:
    """Follow a section in a tree; the section as it is then."""
    now, at = "", 0
    for block in blocks(section):
        now += section[at : block.start]
        text = block.text
        if block.kind == "diff":
            apply(text, tree)
        elif block.file is not None:
            (tree / block.file).write_text(text)
        elif block.kind == "console":
            lines = [line for line in text.splitlines() if line.startswith("$ ")]
            text = "".join(f"{line}\n{typed(line.removeprefix('$ '), tree)}" for line in lines)
        now, at = now + text, block.end
    return now + section[at:]


@NEEDS_GIT
@pytest.mark.parametrize("title", TITLES)
def test_the_edits_fit_the_files(title: str) -> None:
    """Is what each edit of the page replaces there?"""
    section = next(part for part in SECTION.split(PAGE.read_text()) if part.startswith(title))
    diffs = [block.text for block in blocks(section) if block.kind == "diff"]
    assert diffs
    for diff in diffs:
        apply(diff, ROOT, "--check")


@NEEDS_GIT
@pytest.mark.parametrize("title", some(TITLES, 2))
def test_the_edits_do_what_the_page_shows(
    title: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In a copy of the tree, with the commands typed there?"""
    text = PAGE.read_text()
    section = next(part for part in SECTION.split(text) if part.startswith(f"{title}\n"))
    now = changed(section, copied(tmp_path))
    if request.config.getoption("--promote", default=False):
        PAGE.write_text(text.replace(section, now))
    else:
        assert now == section


@exhaustive
@NEEDS_GIT
def test_an_effect_that_nobody_thought_of_is_an_error(tmp_path: Path) -> None:
    """Does mypy name the replay that does not know what a new advice does?"""
    tree = copied(tmp_path)
    path = tree / "swaptrace" / "advice.py"
    old = '    POPULATE_WRITE = "faults the pages in for writing"\n'
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, f'{old}    NEW = "something new"\n'))
    command = [sys.executable, "-m", "mypy", "--strict", "swaptrace"]
    done = completed(command, text=True, cwd=tree)
    assert "swaptrace/replay/" in done.stdout
    assert "exhaustive-match" in done.stdout


def test_every_machine_feature_is_known_to_verify() -> None:
    """Does each follow from the version or the architecture, or is it asked of the kernel?"""
    features = {field.name for field in fields(Machine) if field.type == "bool"}
    # A scenario with lru_batch is refused (check_runnable).
    asked = {"soft_dirty", "zswap_never_enabled", "discards_pmd"}
    assert features == {*implied("6.12"), *X86, *asked, "lru_batch"}


FEATURES = sorted({field.name for field in fields(Machine) if field.type == "bool"})
ELSEWHERE = {"soft_dirty", "lru_batch"}
"""Features that no single page depends on."""


@pytest.mark.parametrize("feature", [name for name in FEATURES if name not in ELSEWHERE])
def test_every_machine_feature_reaches_the_pages(feature: str) -> None:
    """Does the fact that a page depends on follow the scenario, on and off?"""
    for on in (True, False):
        facts = static_facts(replace(Machine(), **{feature: on}))  # type: ignore[arg-type]
        assert getattr(facts, feature) is on


OF_RULES = [rule for rule in Rule if rule.name.lower() in Facts._fields]


@pytest.mark.parametrize("rule", [rule for rule in OF_RULES if rule.name.lower() not in FEATURES])
def test_every_rule_that_a_page_depends_on_reaches_it(rule: Rule) -> None:
    """Does the fact of its name follow the version of the kernel?"""
    for kernel in KERNELS:
        facts = static_facts(Machine(kernel=kernel))
        assert getattr(facts, rule.name.lower()) is follows(kernel, rule)


def test_every_fact_is_a_feature_or_a_rule_or_known_to_be_neither() -> None:
    """Is there no fact that nothing sets?"""
    named = {*FEATURES, *(rule.name.lower() for rule in OF_RULES)}
    batches = {"batch_left", "mlock_left", "read_listed", "found_waiting", "keeps_fresh"}
    changing = {"swap_full", "slot_free", *batches}
    others = {*changing, "backend", "readahead", "mprotect_upgrades", "wp_unreadable"}
    assert set(Facts._fields) - named == others


COUNTED = re.compile(r'^\t(?:SAME\(|OF_SIZES\(|\{)"(\w+)"', re.MULTILINE)


def test_programs_read_every_counter_that_a_kernel_shows() -> None:
    """Has the table in C a line for each, and for no other?"""
    runtime = ROOT / "swaptrace" / "verify" / "runtime" / "base.c"
    assert COUNTED.findall(runtime.read_text()) == [*VMSTAT, *MTHP, *RECLAIM_COUNTERS]


def test_lists_of_operations_name_operations() -> None:
    """Is none of them misspelt, or gone?"""
    listed = {*KNOWN, *(name for names in ALIGNED.values() for name in names)}
    assert listed <= set(OPERATIONS)
