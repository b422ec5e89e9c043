"""Is a page one file that shows every name as text, asks for nothing, and draws what happened?"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import bundled, policies
from swaptrace.errors import SwaptraceError, printable
from swaptrace.replay.engine import replay
from swaptrace.replay.scenarios import replay_all
from swaptrace.replay.telling import StepHistorian
from swaptrace.report.formats import render
from swaptrace.report.html.colors import CLASSES
from swaptrace.report.html.documents import verification_page
from swaptrace.report.html.rendering import check_library
from swaptrace.report.html.scenes import letters, scene
from swaptrace.report.html.strips import WIDTH, paths, scale
from swaptrace.report.reports import CompareReport, RunReport
from swaptrace.result.history import Gap, StateKind, StateRun, Strip
from swaptrace.result.result import Result, ScenarioResult
from swaptrace.result.verdict import Difference, KernelRun, ShownSide, Status, Verdict
from swaptrace.scenario.loader import load_file, load_text
from tests.commandline import run
from tests.effort import examples, exhaustive, part
from tests.report.test_formats import REPORTS, ran
from tests.results import results

HOSTILE = "</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"
SCRIPTED = ("style", "script")
MOST_BYTES = 300 * 1024


class Page(HTMLParser):
    """What a browser would read: elements with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def replayed(names: list[str], *under: str) -> Result:
    """Scenarios that are part of the package, with their histories."""
    found = [load_file(str(bundled.scenarios()[name])) for name in names]
    chosen = [policies.find(name) for name in under]
    return replay_all(found, chosen, steps=False, pages=False, history=True, begin=lambda *_: None)


@pytest.mark.parametrize("name", REPORTS)
def test_does_a_page_ask_for_nothing(name: str) -> None:
    """Does nothing name an address, and does the policy allow but its own style and script?"""
    text = render("html", REPORTS[name])
    page = Page(text)
    for _, attributes in page.elements:
        assert not any(key.startswith("on") or key in ("style", "src") for key in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
    policy = next(a["content"] or "" for t, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    for tag in SCRIPTED:
        (inner,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashed = b64encode(sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{hashed}'" in policy


@pytest.mark.parametrize("name", REPORTS)
def test_is_every_class_known(name: str) -> None:
    """Is there none that neither the style sheet nor the script knows?"""
    text = render("html", REPORTS[name])
    (style,), (script,) = (re.findall(f"<{t}>(.*?)</{t}>", text, re.DOTALL) for t in SCRIPTED)
    used = {word for _, a in Page(text).elements for word in (a.get("class") or "").split()}
    assert {word for word in used if f".{word}" not in style + script} == set()


def test_has_every_kind_of_state_a_color() -> None:
    """A class of its own, and the style sheet knows it?"""
    assert CLASSES.keys() == set(StateKind)
    style = re.findall("<style>(.*?)</style>", render("html", REPORTS["run"]), re.DOTALL)[0]
    for kind, name in CLASSES.items():
        assert f".{name} {{ --of: var(--{kind.name.lower()}); }}" in style


@settings(max_examples=examples(15))
@given(results)
def test_is_every_name_text(result: Result) -> None:
    """Whatever names are made of, are there no elements but the page's own, and the names whole?"""
    page = Page(render("html", ran(result)))
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not {"img", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    for scenario in result.scenarios:
        assert printable(scenario.name) in page.text


def test_is_a_hostile_scenario_text() -> None:
    """Are a name, a region and a comment that would end the script shown as they are?"""
    text = f"# {HOSTILE}\nname: '{HOSTILE.replace(chr(39), chr(39) * 2)}'\n"
    scenario = load_text(f"{text}steps:\n- mmap: b\n  size: 8KiB\n- write: b\n".encode(), HOSTILE)
    found = replay_all(
        [scenario],
        [policies.find("final")],
        steps=False,
        pages=False,
        history=True,
        begin=lambda *_: None,
    )
    page = Page(render("html", RunReport(found, ())))
    assert page.text.count(HOSTILE) >= 4
    assert "img" not in {tag for tag, _ in page.elements}


@pytest.mark.parametrize("name", part(bundled.scenarios(), 4, first=1))
def test_does_a_history_end_as_the_page_map_does(name: str) -> None:
    """Are the strips after the last step the page maps that `--pages` prints, run by run?"""
    scenario = load_file(str(bundled.scenarios()[name]))
    for policy in ("prepatch", "final"):
        result = replay(scenario, policies.find(policy), pages=True, history=StepHistorian)
        history = result.history
        assert history is not None
        assert result.pages is not None
        last = {(s.process, s.region): s for s in history.frames[-1].strips}
        for process, regions in result.pages.items():
            for region, code in regions.items():
                merged: list[tuple[int, str]] = []
                for run_ in last[process, region].runs:
                    flags = history.states[run_.state].flags
                    if merged and merged[-1][1] == flags:
                        merged[-1] = merged[-1][0] + run_.pages, flags
                    else:
                        merged.append((run_.pages, flags))
                assert ",".join(f"{pages}{flags}" for pages, flags in merged) == code


def test_does_a_history_change_nothing_that_is_counted() -> None:
    """Is the result with a history the same as without, but for it?"""
    for name in part(bundled.scenarios(), 6):
        scenario = load_file(str(bundled.scenarios()[name]))
        told = replay(scenario, policies.find("rfc"), history=StepHistorian)
        assert replace(told, history=None) == replay(scenario, policies.find("rfc"))


LONG = """\
steps:
- mmap: buf
  size: 1MiB
- memset: buf
  value: 1
- madvise: buf
  advice: MADV_PAGEOUT
- mmap: other
  size: 8KiB
- access: buf
  pattern: zipf
  count: 1000
  write_share: 0.3
"""


@pytest.mark.parametrize("thp", ["", "machine: {kernel: '6.18', swap: zram, thp: 64KiB}\n"])
def test_does_a_long_step_show_what_happens_within_it(thp: str) -> None:
    """Does the last of its parts have as many pages in each state as its strip, do all have all
    pages, and is what is counted, checkpoints included, the same as without?"""
    scenario, policy = load_text(f"{thp}{LONG}".encode(), "a"), policies.find("rfc")
    for parts_, shown in ((0, 20), (4, 4), (300, 100)):
        told = replay(scenario, policy, checkpoints=parts_, history=StepHistorian)
        assert replace(told, history=None) == replay(scenario, policy, checkpoints=parts_)
        assert told.history is not None
        frame = told.history.frames[-1]
        assert [each.accesses for each in frame.course] == [
            1000 * part // shown for part in range(1, shown + 1)
        ]
        for number, strip in enumerate(frame.strips):
            of = [{run.state: run.pages for run in each.pages[number]} for each in frame.course]
            assert {sum(each.values()) for each in of} == {strip.pages}
            assert of[-1] == {
                state: sum(run.pages for run in strip.runs if run.state == state)
                for state in {run.state for run in strip.runs}
            }


def test_has_a_long_step_columns_of_its_states() -> None:
    """Are there as many columns as parts, as high as the pages are many, where they change?"""
    scenario = load_text(LONG.encode(), "a")
    told = replay(scenario, policies.find("final"), checkpoints=4, history=StepHistorian)
    assert told.history is not None
    drawn = scene(ScenarioResult("a", "a", {}, {"final": told}))
    assert drawn is not None
    buf, other = (cell and cell.course for cell in drawn.groups[0].rows[-1].cells)
    assert other is None
    assert buf is not None
    assert (buf.columns, buf.accesses) == (4, 1000)
    words = buf.words.split("; ")
    assert [each.split(": ")[0] for each in words] == ["250", "500", "750", "1000"]
    lowest = buf.paths[-1]
    letter = drawn.legend[lowest.state].letter
    for top, column in zip(tops(lowest.d), words, strict=True):
        pages = int(re.findall(rf"(\d+) {letter}\b", column)[0])
        assert 100 - top == pytest.approx(100 * pages / 256, abs=0.1)


def tops(d: str) -> list[float]:
    """The upper end of each column of an area."""
    steps = re.findall(r"V([\d.]+)h(\d+)", d)
    return [float(top) for top, width in steps for _ in range(int(width))]


def test_are_policies_that_do_alike_drawn_once() -> None:
    """Are there two groups where one policy differs, and does the first step shown differ?"""
    (scenario,) = replayed(["soft-dirty"], "simple", "prepatch", "final").scenarios
    drawn = scene(scenario)
    assert drawn is not None
    assert drawn.groups[0].policies == ("simple",)
    (broken,) = {row.at for group in drawn.groups for row in group.rows if row.broken}
    assert drawn.start == broken
    assert any(each.transition.violations for each in drawn.shown)


def test_is_a_violation_marked_where_it_is() -> None:
    """At the first page that shows it, in the strip of the step that does, and in no other?"""
    text = (
        "steps:\n- {mmap: buf, size: 64KiB}\n- {memset: buf, value: 1}\n"
        "- {madvise: buf, advice: MADV_PAGEOUT}\n- {clear_refs: soft_dirty}\n"
        "- {read: buf, offset: 48KiB, length: 4KiB}\n"
    )
    found = [load_text(text.encode(), "a.yaml", {}, name="a")]
    chosen = [policies.find("rfc")]
    result = replay_all(
        found, chosen, steps=False, pages=False, history=True, begin=lambda *_: None
    )
    drawn = scene(result.scenarios[0])
    assert drawn is not None
    (group,), (heading,) = drawn.groups, drawn.headings
    cells = {row.step.path: cell for row in group.rows for cell in row.cells if cell}
    marks = {path: cell.drawing.marks for path, cell in cells.items() if cell.drawing.marks}
    assert marks == {"4": ((heading.scale.at(12), heading.scale.at(13)),)}
    number = re.findall(
        r"<symbol id=p\d+ [^\n]*<path class=mark d=\"M([^ ]+) ",
        render("html", RunReport(result, ())),
    )
    assert [float(left) for left in number] == [heading.scale.at(12)]


def test_is_a_promise_that_many_pages_break_named_once() -> None:
    """In the transition of a large folio, with how often?"""
    (scenario,) = replayed(["folio-soft-dirty"], "rfc").scenarios
    drawn = scene(scenario)
    assert drawn is not None
    (broken,) = {each for taken in drawn.shown for each in taken.broken if "times" in each}
    assert broken == "spurious_soft_dirty (main), 16 times"


def test_does_a_terabyte_take_no_more_than_a_page() -> None:
    """Are there as few runs?"""
    (scenario,) = replayed(["one-tebibyte"], "final").scenarios
    drawn = scene(scenario)
    assert drawn is not None
    cells = [cell for row in drawn.groups[0].rows for cell in row.cells if cell is not None]
    assert [len(cell.drawing.paths) for cell in cells] == [1, 1, 1, 1]


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=examples(30))
def test_can_every_run_be_seen(runs: list[tuple[int, int]]) -> None:
    """Is each run at least a thousandth as wide as the strip, where its pages are and on top?"""
    strip = Strip("main", "buf", tuple(StateRun(*each) for each in runs))
    found = scale([strip])
    assert found.at(0) == 0
    assert found.at(strip.pages) == pytest.approx(found.width)
    painted = {
        path.state: stretches(path.d)
        for path in paths(strip, found, {n: (n, "D") for n in range(4)})
    }
    assert len(painted) == len({state for _, state in runs})
    at = 0
    for pages, state in runs:
        left, right = found.at(at), found.at(at + pages)
        middle = (left + right) / 2
        assert right - left >= found.width / WIDTH * 0.9
        on_top = [each for each, runs in painted.items() if any(a < middle < b for a, b in runs)]
        assert on_top[-1] == state
        at += pages


def stretches(d: str) -> list[tuple[float, float]]:
    """From where to where a path of a strip goes."""
    found: list[tuple[float, float]] = []
    for move, by, width in re.findall(r"([Mm])([\d.e+-]+) [05]h([\d.e+-]+)", d):
        left = float(by) + (found[-1][1] if move == "m" else 0)
        found.append((left, left + float(width)))
    return found


@exhaustive
def test_is_the_bundled_set_small() -> None:
    """Is the page of all bundled scenarios below 300 KiB, compared and replayed?"""
    found = replayed(list(bundled.scenarios()), "prepatch", "rfc", "final")
    for report in (RunReport(found, ()), CompareReport(found, ())):
        assert len(render("html", report).encode()) < MOST_BYTES


def test_do_differences_come_first() -> None:
    """Does `compare` show what differs before what is equal, and is that alone folded?"""
    found = replayed(["fork-after-pageout", "read-then-write"], "prepatch", "final")
    text = render("html", CompareReport(found, ()))
    assert text.index("id=s2 data-notable open>") < text.index("id=s1>")
    assert "id=s1 open>" in render("html", CompareReport(replayed(["mlock"], "prepatch"), ()))


def test_does_every_command_make_a_page() -> None:
    """Do `run`, `compare`, `explain` and `explore` write one, with all that was found?"""
    assert (
        "<h1>zero-pages under prepatch, rfc, final"
        in run("run", "zero-pages", "--format", "html").stdout
    )
    assert "do_swap_page" in run("explain", "zero-pages", "--format", "html").stdout
    words = ["explore", "-p", "simple,final", "--processes", "1", "--format", "html"]
    text = run(*words, "--ops", "read,write,pageout,clear_refs").stdout
    assert text.count("<details class=item") == 4
    assert text.count("class=scene") == 4


def test_is_it_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Jinja2, is the error the command that installs it?"""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SwaptraceError, match=r"pip install 'swaptrace-mm\[html\]'"):
        check_library()
    done = run("run", "zero-pages", "--format", "html")
    assert (done.exit_code, done.stdout) == (2, "")


def test_are_letters_like_those_of_a_spreadsheet() -> None:
    """Z, then AA."""
    assert [letters(number) for number in (0, 25, 26, 51, 52, 701, 702)] == [
        *("A", "Z", "AA", "AZ", "BA", "ZZ", "AAA")
    ]


def test_does_verify_make_a_page() -> None:
    """Are the verdicts there, the names as text, and what differs?"""
    sides = (ShownSide(None, {"minflt": count}, {}) for count in (3, 4))
    difference = Difference("1", 3, "main", "write", *sides)
    verdict = Verdict(HOSTILE, "a.yaml", "merged", Status.DIFFERS, first_difference=difference)
    page = Page(verification_page([KernelRun("here", "6.18", (verdict,))], only_notable=False))
    assert HOSTILE in page.text
    assert "first at step 1, line 3: write by main, under merged" in page.text
    assert "img" not in {tag for tag, _ in page.elements}


def test_is_what_is_left_out_said() -> None:
    """Of many steps and of many runs, does the history say what it leaves out, and no page?"""
    steps = "- mmap: buf\n  size: 16MiB\n" + "".join(
        f"- write: buf\n  offset: {page * 4096}\n  length: 4096\n" for page in range(0, 600, 2)
    )
    text = f"steps:\n{steps}- write: buf\n  stride: 8KiB\n"
    told = replay(load_text(text.encode(), "a"), policies.find("final"), history=StepHistorian)
    history = told.history
    assert history is not None
    assert history.gap == Gap(160, 302 - 200)
    assert len(history.frames) == 200
    last = history.frames[-1].strips[0]
    assert (last.parts, last.pages) == (512, 4096)
    assert (
        sum(run_.pages for run_ in last.runs if history.states[run_.state].flags == "PDX") == 2048
    )
