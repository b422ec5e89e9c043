"""Are hunks applied as git applies them?"""

from __future__ import annotations

import os
import shutil
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.ktree import applying
from swaptrace.ktree.applying import Effort, Exhausted, Refused, apply
from swaptrace.ktree.diff import file_diffs
from tests.effort import examples
from tests.processes import completed

LINES = st.lists(st.sampled_from("abcd"), max_size=14)


def by_us(text: str, patch: str) -> str | None:
    (diff,) = file_diffs("a.patch", patch, 1)
    try:
        return apply(text, diff.hunks, Effort()).text
    except Refused:
        return None


def by_git(text: str, patch: str) -> str | None:
    """With as much context as the patch has, or else with one line."""
    with TemporaryDirectory() as name:
        file = Path(name) / "f"
        nowhere = {"GIT_DIR": "/nonexistent", "PATH": os.environ["PATH"], "HOME": name}
        for options in ((), ("-C1",)):
            file.write_text(text)
            words = ["git", "apply", "--whitespace=nowarn", *options, "-"]
            done = completed(words, stdin=patch, text=True, cwd=name, env=nowhere)
            if done.returncode == 0:
                return file.read_text()
    return None


def joined(lines: list[str], ended: bool) -> str:
    text = "".join(f"{line}\n" for line in lines)
    return text if ended else text[:-1]


def patch_of(before: list[str], after: list[str], context: int) -> str:
    lines = unified_diff(
        [f"{line}\n" for line in before], [f"{line}\n" for line in after], "a/f", "b/f", n=context
    )
    return "".join(lines)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@given(LINES, LINES, LINES, st.integers(1, 3), st.booleans())
@settings(max_examples=examples(40), deadline=None)
def test_a_patch_does_what_git_does_with_it(
    before: list[str], after: list[str], text: list[str], context: int, same: bool
) -> None:
    """On the text that it was made for, and on another one?"""
    patch = patch_of(before, after, context)
    if not patch or not before or not after:
        return
    on = joined(before + text if same else text + before[1:], ended=True)
    assert by_us(on, patch) == by_git(on, patch)


@given(LINES, LINES)
@settings(max_examples=examples(60), deadline=None)
def test_a_patch_makes_after_of_before(before: list[str], after: list[str]) -> None:
    """Is the text that a diff was made of turned into the other one?"""
    patch = patch_of(before, after, 3)
    if patch and before:
        assert by_us(joined(before, ended=True), patch) == joined(after, ended=True)


def test_a_last_line_without_an_end_is_one() -> None:
    """Is the end taken away and given as the patch says?"""
    header = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n"
    without = "\\ No newline at end of file\n"
    assert by_us("a\nb", f"{header}-b\n{without}+c\n") == "a\nc\n"
    assert by_us("a\nb\n", f"{header}-b\n+c\n{without}") == "a\nc"
    assert by_us("a\nb\n", f"{header}-b\n{without}+c\n") is None


def test_looking_for_a_place_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are blank lines that match almost everywhere given up, in bounded work?"""
    monkeypatch.setattr(applying, "MOST_TRIES", 200_000)
    hunk = "--- a/f\n+++ b/f\n@@ -1,5001 +1,5001 @@\n" + " \n" * 5_000 + "-b\n+c\n"
    with pytest.raises(Exhausted):
        by_us("\n" * 100_000, hunk)


def test_context_longer_than_the_file_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a hunk not made shorter line by line, however many it has?"""
    monkeypatch.setattr(applying, "MOST_TRIES", 200_000)
    hunk = "--- a/f\n+++ b/f\n@@ -1,5001 +1,5001 @@\n" + " \n" * 5_000 + "-b\n+c\n"
    with pytest.raises(Exhausted):
        by_us("a\n", hunk)


def test_all_patches_share_one_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does a series of many changes of one file end as well, with the name of the file?"""
    monkeypatch.setattr(applying, "MOST_TRIES", 1_000)
    hunk = "--- a/f\n+++ b/f\n@@ -9,3 +9,3 @@\n y\n-x\n+x\n y\n"
    (diff,) = file_diffs("a.patch", hunk, 1)
    effort, text = Effort(), "y\n" * 100 + "x\n" + "y\n" * 100
    done: list[str] = []
    with pytest.raises(Exhausted):
        done.extend(apply(text, diff.hunks, effort).text for _ in range(20))
    assert effort.left < 0
    assert apply(text, diff.hunks, Effort()).text == text
