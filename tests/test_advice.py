"""Is the table of advice right, and does everything follow it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.advice import BY_NAME, NOT_MODELLED, Advice, AdviceInfo
from swaptrace.errors import ScenarioError
from swaptrace.scenario.loader import load_text

HEADER = Path("/usr/include/asm-generic/mman-common.h")
REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
MARKS = "<!-- advice -->\n", "<!-- /advice -->\n"


def test_numbers_are_those_of_the_headers() -> None:
    """Has every advice that the headers here know the number that they give it?"""
    if not HEADER.exists():
        pytest.skip("no kernel headers here")
    words = (line.split() for line in HEADER.read_text().splitlines())
    there = {word[1]: int(word[2]) for word in words if word[1:2] and word[1].startswith("MADV_")}
    numbers = {name: advice.number for name, advice in BY_NAME.items() if name in there}
    assert len(numbers) >= 7
    assert numbers == {name: there[name] for name in numbers}
    assert not set(there) - set(BY_NAME) - set(NOT_MODELLED)


def test_no_two_are_one() -> None:
    """Is every line of the table an advice of its own, and none of them not modelled?"""
    lines = [value for value in vars(Advice).values() if isinstance(value, Advice)]
    assert len({line.number for line in lines}) == len(lines) == len(Advice)
    assert not set(BY_NAME) & set(NOT_MODELLED)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("MADV_PAGOUT", "did you mean 'MADV_PAGEOUT'?"),
        ("pageout", "did you mean 'MADV_PAGEOUT'?"),
        ("MADV_GUARD_REMOV", "did you mean 'MADV_GUARD_REMOVE'?"),
        ("MADV_HWPOISON", "is not modelled; valid: "),
        ("HWPOISON", "is not modelled; valid: "),
        ("MADV_X", "valid: "),
    ],
)
def test_a_wrong_name_is_told_once(wrong: str, said: str) -> None:
    """Is the nearest name one that is alike beyond MADV_, which all of them begin with?"""
    with pytest.raises(ScenarioError) as caught:
        load_text(f"steps:\n- {{mmap: a, size: 4KiB}}\n- {{madvise: a, advice: {wrong}}}\n", "a")
    (problem,) = caught.value.problems
    assert said in problem.message
    assert said.startswith("did you mean") == ("did you mean" in problem.message)


def test_the_documentation_has_the_same_table(request: pytest.FixtureRequest) -> None:
    """Is the table of docs/reference.md made of this one? `pytest --promote` makes it again."""
    text = REFERENCE.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    made = before + MARKS[0] + table() + MARKS[1] + after
    if request.config.getoption("--promote"):
        REFERENCE.write_text(made)
    assert REFERENCE.read_text() == made


def table() -> str:
    """The advice as Markdown: a line for all that is refused alike."""
    lines: dict[str, list[str]] = {}
    for advice in Advice:
        on = ", ".join(f"{each.on.value}: {each.errno}" for each in advice.value.refused)
        lines.setdefault(on, []).append(name(advice, advice.value))
    rows = [f"| {on or 'nothing'} | {', '.join(names)} |" for on, names in lines.items()]
    return "\n".join(["| refused on | advice (since) |", "|---|---|", *rows, ""])


def name(advice: Advice, known: AdviceInfo) -> str:
    since = ".".join(map(str, known.since)) if known.commit else ""
    return f"`{advice}` ({since})" if since else f"`{advice}`"
