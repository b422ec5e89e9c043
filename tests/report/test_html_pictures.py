"""Do the pages of `diff` and `verify` draw what differs, as it is, and say the same in words?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from swaptrace import bundled
from swaptrace.report.formats import render
from swaptrace.report.html.bars import LONGEST, MOST, Pair, bar_chart
from swaptrace.report.html.documents import verification_page
from swaptrace.report.html.graph import BOX
from swaptrace.report.html.kernelmaps import LETTER_WORDS, KernelMap, first_differences
from swaptrace.report.html.scenes import scene
from swaptrace.result.verdict import Difference, KernelRun, ShownSide, Status, Verdict
from swaptrace.scenario.claims import LETTERS
from tests.effort import exhaustive
from tests.report.test_formats import REPORTS
from tests.report.test_html import HOSTILE, Page, replayed, stretches

Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom."""

MODEL = ShownSide(None, {"minflt": 4}, {"main": {"buf": "512PDX"}})
KERNEL = ShownSide(None, {"minflt": 8}, {"main": {"buf": "200PDX,8SD,304PDX"}})


def run_of(
    model: ShownSide, kernel: ShownSide, name: str = "forked", same_as: str | None = None
) -> KernelRun:
    first = Difference("3", 9, "main", "write", model, kernel)
    verdict = Verdict(name, "a.yaml", "merged", Status.DIFFERS, None, first, same_as=same_as)
    return KernelRun("here", "6.18", (verdict,))


def map_of(model: str, kernel: str) -> KernelMap:
    """The only picture where these are the page maps of a region; "" where it is not there."""
    one, other = (
        ShownSide(None, {}, {"main": {"buf": code} if code else {}}) for code in (model, kernel)
    )
    (found,) = first_differences([run_of(one, other)])
    (picture,) = found.maps
    return picture


@pytest.mark.parametrize(
    ("model", "kernel", "where"),
    [
        ("512PDX", "200PDX,8SD,304PDX", "pages 200 to 207"),
        ("1P,7-", "8-", "page 0"),
        ("2PX,1S,1-", "1PX,1S,2-", "pages 1 to 2"),
        ("1P,1S,1P", "1S,1S,1S", "page 0, page 2"),
        ("4P", "2P", "pages 2 to 3"),
        ("4P", "", "pages 0 to 3"),
    ],
)
def test_do_strips_show_where_the_kernel_differs(model: str, kernel: str, where: str) -> None:
    """Is it said, is it painted there and nowhere else, and is each strip its code?"""
    picture = map_of(model, kernel)
    one, other, apart = picture.rows
    assert (one.code, other.code) == (model, kernel or "not mapped")
    assert apart.code == where
    pages = sum(int(part.split("to")[-1]) - int(part.split("to")[0]) + 1 for part in told(where))
    assert len(painted(apart.drawing.paths, picture.pages, "X")) == pages
    for row in (one, other):
        kinds = {path.classes for path in row.drawing.paths}
        assert kinds <= {each.classes for each in picture.legend}


def told(where: str) -> list[str]:
    return [part.removeprefix("pages ").removeprefix("page ") for part in where.split(", ")]


def painted(paths: object, pages: int, classes: str) -> set[int]:
    """The pages at which the path of these classes is on top."""
    found: dict[int, str] = {}
    for path in paths:  # type: ignore[attr-defined]
        for left, right in stretches(path.d):
            found |= {page: path.classes for page in range(pages) if left <= page < right}
    return {page for page, color in found.items() if color == classes}


def test_has_every_letter_of_a_page_map_its_words() -> None:
    """Those that `--pages` prints, and no others?"""
    assert "".join(LETTER_WORDS) == LETTERS


@exhaustive
def test_can_every_label_of_a_state_graph_be_read() -> None:
    """Does none lie over a state or another label, or outside, in any bundled scenario?"""
    for scenario in replayed(list(bundled.scenarios()), "prepatch", "rfc", "final").scenarios:
        drawn = scene(scenario)
        if drawn is None or drawn.picture is None:
            continue
        width, height, boxes, arrows = drawn.picture
        places: list[Rectangle] = [(box.x, box.y, box.x + BOX, box.y + box.height) for box in boxes]
        for arrow in arrows:
            half = 3.5 * len(arrow.label)
            label = (arrow.x - half, arrow.y - 6, arrow.x + half, arrow.y + 6)
            assert not [at for at in places if overlap(at, label)], (scenario.name, arrow)
            assert overlap(label, (0, 0, width, height)) == label
            places.append(label)


def overlap(one: Rectangle, other: Rectangle) -> Rectangle | None:
    """What two rectangles have in common."""
    left, top = (max(one[at], other[at]) for at in (0, 1))
    right, bottom = (min(one[at], other[at]) for at in (2, 3))
    return (left, top, right, bottom) if left < right and top < bottom else None


def test_are_counters_beside_the_page_maps() -> None:
    """Are there bars of what the two count, and is all of it in the words of the page?"""
    page = Page(verification_page([run_of(MODEL, KERNEL, name=HOSTILE)], only_notable=False))
    assert f"Counters of {HOSTILE} on 6.18: step 3, write by main" in page.text
    assert "minflt: model 4, kernel 8" in page.text
    assert "pages 200 to 207" in page.text
    assert "img" not in {tag for tag, _ in page.elements}
    tags = [tag for tag, _ in page.elements]
    pictures = [a for tag, a in page.elements if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 4
    assert tags.count("desc") == 4


def test_is_nothing_drawn_of_what_is_the_same_or_no_page_map() -> None:
    """Neither of counters alone, nor of a scenario like another, nor of what is no code?"""
    alone = ShownSide(None, {"minflt": 1}, {})
    assert [*first_differences([run_of(alone, replace(alone, counters={"minflt": 2}))])] == []
    assert [*first_differences([run_of(MODEL, KERNEL, same_as="other")])] == []
    odd = replace(KERNEL, pages={"main": {"buf": "damaged"}})
    assert [*first_differences([run_of(MODEL, odd)])] == []


def test_are_bars_as_long_as_counts_are_large() -> None:
    """On one scale for each counter, with what is not 0 to be seen, and those of what differs?"""
    pairs = [
        Pair("minflt", "a", 10, 5),
        Pair("minflt", "b", 1, 0),
        Pair("majflt", "a", 7, 7),
        Pair("pswpin", "a", 0, 10**9),
        Pair("pswpin", "b", 1, 2),
    ]
    chart = bar_chart("Title", ("old", "new"), pairs)
    assert chart is not None
    assert [bar.width for bar in chart.bars] == [
        *(LONGEST, LONGEST / 2, LONGEST / 10, 0),
        *(0, LONGEST, 1, 1),
    ]
    assert [bar.text for bar in chart.bars[:4]] == ["10", "5", "1", "0"]
    headings = [each.text for each in chart.texts if each.is_heading]
    assert headings == ["minflt", "pswpin"]
    assert chart.words.startswith("minflt of a: old 10, new 5; minflt of b: old 1, new 0; ")
    assert bar_chart("Title", ("old", "new"), pairs[2:3]) is None


def test_are_the_smallest_changes_left_out_of_many() -> None:
    """And is it said how many?"""
    pairs = [Pair("minflt", str(n), 0, n) for n in range(1, MOST + 4)]
    chart = bar_chart("Title", ("old", "new"), pairs)
    assert chart is not None
    assert chart.left_out == 3
    assert [each.text for each in chart.texts[1:]] == [str(n) for n in range(4, MOST + 4)]


def test_has_diff_a_picture_of_its_changes() -> None:
    """With a title, and the same in words?"""
    page = Page(render("html", REPORTS["diff"]))
    assert "minflt of read-then-write, prepatch, total: old.json 1530, new.json 1536" in page.text
    assert [tag for tag, _ in page.elements].count("title") == 2
