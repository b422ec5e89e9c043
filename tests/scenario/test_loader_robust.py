"""Can any input make the loader do something else than load or raise a ScenarioError?"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swaptrace.errors import ScenarioError
from swaptrace.scenario import names, nodes
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.schema import MeasureStep, RepeatStep, Step
from swaptrace.scenario.source import MAX_BYTES, Report, SourceText
from tests.effort import examples, exhaustive, part
from tests.scenario.test_loader import READ_THEN_WRITE
from tests.work import at_most

WRONG = sorted((Path(__file__).parent / "errors").glob("[sy]*.yaml"))

WORKOUT = """\
machine: {kernel: 6.10, page_size: 16KiB, swap: disk}
steps:
- {mmap: a, size: 64KiB}
- {mmap: b, size: 1MiB, at: 0x40000000, prot: r}
- {mprotect: b, prot: rw, offset: 16KiB}
- repeat: 3
  steps:
  - {write: a, value: 0, order: random, seed: 3, stride: 100}
  - fork: child
  - {madvise: a, advice: PAGEOUT, process: child}
  - measure: w
    steps:
    - {read_write: a, process: child}
    - {uffd_writeprotect: b, length: 16KiB}
  - exit: child
- {munmap: b, offset: 16KiB}
- munmap: b
- {mmap: b, size: 4KiB}
- {mlock: b, errno: ENOMEM}
- clear_refs: soft_dirty
expect:
  w: {final: {minflt: 3}}
"""


def outcome(text: bytes | str) -> str:
    """What the loader says; empty if it is content."""
    try:
        scenario = load_text(text)
    except ScenarioError as error:
        refusal = error
    else:
        check(scenario.steps)
        return ""
    assert refusal.problems
    assert all(p.message and p.line >= 1 and p.column >= 1 for p in refusal.problems)
    assert all(line.isprintable() for line in str(refusal).split("\n"))
    return str(refusal)


def check(steps: tuple[Step, ...]) -> None:
    """What is promised of the steps that are handed out."""
    for step in steps:
        assert step.process
        if isinstance(step, MeasureStep | RepeatStep):
            assert step.steps
            check(step.steps)
        span = getattr(step, "span", None)
        if span is not None:
            assert span.offset >= 0
            assert span.length >= 1


@exhaustive
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe\x00\x00")
@example(b"\x00")
def test_any_bytes(data: bytes) -> None:
    """Does every sequence of bytes load or fail in words?"""
    outcome(data)


@given(st.text(max_size=300))
@example("\ud800")
@example("...")
@example("%YAML 1.1\n---\n")
@example("\n\n'")
def test_any_text(text: str) -> None:
    """Does every text, whatever its characters?"""
    outcome(text)


@given(st.lists(st.sampled_from([*"[]{},:?&*!|>'\"%@`#-~ \n\t", "- ", ": ", "  ", "<<", "a", "1"])))
def test_any_punctuation(parts: list[str]) -> None:
    """Does every heap of YAML's own characters?"""
    outcome("".join(parts))


KEYS = [
    *OPERATIONS,
    *{key for operation in OPERATIONS.values() for key in operation.keys},
    *("name", "description", "machine", "expect", "kernel", "swap", "total", "minflt", "junk"),
]
SCALARS = ["a", "b", "main", "c", "4KiB", "0", "-1", "1", "2", "0x1000", "r", "random", "COLD"]
SCALARS += ["soft_dirty", "true", "ENOMEM", "", "é", "9" * 50, "w", "final", "6.1", "zram"]
TREES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)


def flow(tree: object) -> str:
    """The tree as YAML on one line."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    return f"'{tree}'"


@given(st.dictionaries(st.sampled_from(["steps", "machine", "expect", "name"]), TREES))
def test_any_shape(tree: dict[str, object]) -> None:
    """Does every tree of the right words in the wrong places?"""
    outcome(flow(tree))


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A good scenario after a few cuts of an editor."""
    lines = draw(st.sampled_from([READ_THEN_WRITE, WORKOUT])).splitlines()
    for _ in range(draw(st.integers(1, 6))):
        at, other = (draw(st.integers(0, max(0, len(lines) - 1))) for _ in range(2))
        match draw(st.sampled_from(["delete", "insert", "swap", "indent", "cut", "change"])):
            case "delete":
                del lines[at : at + 1]
            case "insert":
                lines.insert(at, lines[other] if lines else "x")
            case "swap" if lines:
                lines[at], lines[other] = lines[other], lines[at]
            case "indent" if lines:
                lines[at] = "  " + lines[at]
            case "cut" if lines:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "change" if lines:
                word = draw(st.sampled_from([*SCALARS, *KEYS]))
                lines[at] = lines[at].replace(
                    draw(st.sampled_from(["a", "b", "4", "0", ":"])), word
                )
    return "\n".join(lines)


@settings(max_examples=examples(300))
@given(mutations())
def test_any_mutation(text: str) -> None:
    """Does a good scenario, whatever happens to its lines?"""
    outcome(text)


@pytest.mark.parametrize("text", [READ_THEN_WRITE, WORKOUT], ids=["example", "workout"])
def test_the_unchanged_ones_load(text: str) -> None:
    """Do the mutations start from something good?"""
    assert outcome(text) == ""


HOSTILE = {
    "lists": "[" * 200_000,
    "mappings": "{a: " * 200_000,
    "dashes": "- " * 200_000,
    "questions": "? " * 200_000,
    "block mappings": "".join(" " * depth + "a:\n" for depth in range(500)),
    "aliases": "a: &a [x]\n" + "".join(f"b{i}: &b{i} [{'*a,' * 99}]\n" for i in range(99)),
    "digits": f"steps: [{{mmap: a, size: {'9' * 1_000_000}}}]",
    "hex digits": f"steps: [{{repeat: 0x{'f' * 1_000_000}, steps: []}}]",
    "long name": f"steps: [{{{'a' * 1_000_000}: b}}]",
    "newlines": "\n" * MAX_BYTES,
    "control characters": "\x01" * MAX_BYTES,
    "documents": "---\n" * 200_000,
    "keys": "".join(f"k{i}: 1\n" for i in range(20_000)),
    "regions": "steps:\n"
    + "".join(f"- {{mmap: r{i}, size: 1}}\n" for i in range(2000))
    + "".join(f"- read: s{i}\n" for i in range(2000)),
    "forks": "steps:\n"
    + "".join(f"- {{mmap: r{i}, size: 1}}\n" for i in range(2000))
    + "".join(f"- fork: p{i}\n" for i in range(2000)),
    "holes": "steps:\n- {mmap: a, size: 1GiB}\n"
    + "".join(f"- {{munmap: a, offset: {i * 8192}, length: 1}}\n" for i in range(3000)),
    "addresses": "steps:\n"
    + "".join(f"- {{mmap: a{i}, size: 1, at: {(i + 16) * 4096}}}\n" for i in range(3000)),
}


@pytest.mark.parametrize("name", part(HOSTILE, 4))
def test_hostile_files_fail_soon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a file that asks for endless work refused after calls in proportion to its
    length and the budget?"""
    monkeypatch.setattr(names, "BUDGET", names.BUDGET // 16)
    with at_most(1_500_000 + 10 * names.BUDGET):
        assert outcome(HOSTILE[name])


def test_what_only_the_parser_refuses() -> None:
    """Is what YAML cannot read told as any other problem, should it ever get that far?"""
    with pytest.raises(ScenarioError, match="not YAML: unacceptable character #x0000"):
        nodes.parse("a: \0", SourceText("f", ("a: ",)), Report())


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_without_libyaml(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML has no libyaml, does its own parser find mistakes in the same lines?"""
    data = path.read_bytes()
    with pytest.raises(ScenarioError) as fast:
        load_text(data)
    monkeypatch.setattr(nodes, "LOADER", yaml.SafeLoader)
    with pytest.raises(ScenarioError) as slow:
        load_text(data)
    assert [p.line for p in slow.value.problems] == [p.line for p in fast.value.problems]


def test_a_scenario_loads_at_once() -> None:
    """Is loading no part of what a user waits for: does it take some thousand calls?"""
    load_text(READ_THEN_WRITE)
    with at_most(5000):
        load_text(READ_THEN_WRITE)


def test_a_long_file_is_read_without_a_look_for_garbage() -> None:
    """Nothing of it is any, and each look goes through all that was read."""
    begun: list[str] = []

    def note(phase: str, _about: dict[str, int]) -> None:
        begun.append(phase)

    text = "steps:\n" + "- {read: a}\n" * 5000
    gc.collect()
    gc.callbacks.append(note)
    try:
        nodes.parse(text, SourceText("f", tuple(text.split("\n"))), Report())
    finally:
        gc.callbacks.remove(note)
    assert begun.count("start") <= 1  # that which was due
    assert gc.isenabled()


def test_a_region_is_looked_for_among_many_in_few_calls() -> None:
    """Does it take no call for each region that lies elsewhere?"""
    text = "steps:\n" + "".join(
        f"- {{mmap: a{n}, size: 4KiB, at: {(n * 2 + 16) * 4096}}}\n" for n in range(1000)
    )
    with at_most(700_000):
        assert outcome(text) == ""
