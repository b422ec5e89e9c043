"""Does a table keep every character, in whatever width?"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from swaptrace.report.layout import FirstFit, TextTable, words
from tests.effort import examples
from tests.report.test_tables import rendered

cells = st.text("abc 019", min_size=1, max_size=9)
rows = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4)


def inked(text: str) -> Counter[str]:
    return Counter(text.replace(" ", "").replace("\n", "").replace("-", ""))


@settings(max_examples=examples(60))
@given(rows, st.integers(min_value=14, max_value=40), st.integers(min_value=0, max_value=2))
def test_is_every_character_there_when_a_table_is_folded(
    cells: list[tuple[str, str, str]], width: int, indent: int
) -> None:
    table = TextTable(("name", "other", "count"), 2, cells, indent)
    folded = rendered(table, width)
    assert inked(folded) == inked(rendered(table))
    assert all(len(line) <= width for line in folded.splitlines())


@given(rows)
def test_is_a_table_as_wide_as_it_says(cells: list[tuple[str, str, str]]) -> None:
    table = TextTable(("name", "other", "count"), 2, cells, 3)
    lines = rendered(table).splitlines()
    assert max(map(cell_len, lines)) == table.width()
    assert rendered(table, table.width()).splitlines() == lines


def test_are_wide_characters_counted_as_two() -> None:
    table = TextTable(("name", "count"), 1, [("页面", "1"), ("page", "23")])
    assert rendered(table).splitlines() == [
        "name  count",
        "-----------",
        "页面      1",
        "page     23",
    ]


def test_is_the_first_layout_taken_that_fits() -> None:
    layout = FirstFit(
        lambda: [words("text never counts"), TextTable((), 1, [["x" * 20]])],
        lambda: [TextTable((), 1, [["y" * 10]])],
        lambda: [TextTable((), 1, [["z" * 10]])],
    )
    assert "x" in rendered(layout, 20)
    assert rendered(layout, 19).strip() == "y" * 10
    assert set(rendered(layout, 5)) == {"z", "\n"}
