"""Does a page work in a real browser: Chromium of the system, driven by Playwright?

Skipped where there is none, or where the extra `browser` is not installed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swaptrace.report.formats import render
from swaptrace.report.html.documents import verification_page
from tests.commandline import run
from tests.report.test_formats import REPORTS
from tests.report.test_html_pictures import KERNEL, MODEL, run_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; one for all questions."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra browser is missing")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page with what it said and asked for."""

    def __init__(self, browser: Any, path: Path, **how: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_context(**how).new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def quiet(self) -> bool:
        """Whether there was no message and no request but for the page itself."""
        return not self.said and all(url == self.page.url or url == "data:," for url in self.asked)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all bundled scenarios."""
    path = tmp_path_factory.mktemp("page") / "compare.html"
    done = run("compare", "--policies", "simple,final", "--format", "html", "-o", str(path))
    assert done.exit_code == 0, done
    return path


def test_does_it_step_filter_and_unfold(browser: Any, compared: Path) -> None:
    """Do keys, the slider, a click, the filter and the pointer do what they are for, in silence?"""
    opened = Opened(browser, compared)
    page = opened.page
    page.fill("#filter", "tebi")
    assert page.locator("details.item:visible").count() == 1
    page.click("#unfold")
    scene = page.locator("details.item:visible .scene")
    rows = scene.locator("table.strips").first.locator("tr[data-at]")
    page.click("details.item:visible summary >> nth=0")
    page.click("details.item:visible summary >> nth=0")
    rows.nth(1).click()
    assert "memset" in scene.locator("output").inner_text()
    page.keyboard.press("ArrowRight")
    assert rows.nth(2).get_attribute("aria-current") == "step"
    assert rows.nth(1).get_attribute("aria-current") is None
    scene.locator("input[type=range]").fill("3")
    assert "read_write" in scene.locator("output").inner_text()
    rows.nth(3).locator("svg").hover()
    tip = page.locator("#tip").inner_text()
    assert "pages 0 to 268435455" in tip
    assert "do_swap_page" in tip
    assert opened.quiet()


def test_does_the_bundled_set_open_within_a_second(browser: Any, compared: Path) -> None:
    """Of processor time of what reads, lays out and runs the page, the terabyte opened as well?"""
    page = browser.new_context().new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(compared.as_uri())
    page.fill("#filter", "one-tebibyte")
    page.click("#unfold")
    assert page.locator("details.item:visible .strips svg").first.is_visible()
    metrics = {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }
    assert 0 < metrics["TaskDuration"] < 1, metrics


def test_does_the_pointer_say_which_pages(browser: Any, tmp_path: Path) -> None:
    """Is each run that it comes to the one whose pages are there, also those of one state?"""
    paged_out = "".join(
        f"- madvise: buf\n  advice: MADV_PAGEOUT\n  offset: {at}KiB\n  length: 32KiB\n"
        for at in (32, 96)
    )
    (tmp_path / "a.yaml").write_text(
        f"steps:\n- mmap: buf\n  size: 160KiB\n- memset: buf\n  value: 1\n{paged_out}"
    )
    page = tmp_path / "a.html"
    run("run", str(tmp_path / "a.yaml"), "-p", "final", "--format", "html", "-o", str(page))
    opened = Opened(browser, page)
    strip = opened.page.locator("table.strips svg").last
    box = strip.bounding_box()
    for part, swapped in enumerate((False, True, False, True, False)):
        strip.hover(position={"x": box["width"] * (part + 0.5) / 5, "y": 8})
        pages, state = opened.page.locator("#tip div").all_inner_texts()[:2]
        assert pages == f"pages {part * 8} to {part * 8 + 7}"
        assert ("in swap" in state) == swapped
    assert opened.quiet()


def test_does_the_pointer_say_what_is_within_a_long_step(browser: Any, compared: Path) -> None:
    """Is it that part of the accesses, with the pages of each state?"""
    opened = Opened(browser, compared)
    opened.page.fill("#filter", "half-the-memory")
    opened.page.click("#unfold")
    columns = opened.page.locator("svg.course:visible").first
    columns.hover(position={"x": columns.bounding_box()["width"] - 3, "y": 30})
    accesses, *pages = opened.page.locator("#tip div").all_inner_texts()
    assert accesses == "after 4096 accesses"
    assert sum(int(each.split()[1]) for each in pages) == 512
    assert opened.quiet()


def test_is_it_accessible(browser: Any, compared: Path) -> None:
    """Does axe-core find nothing, in light and in dark, with everything unfolded?"""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for scheme, name in (("light", "soft-dirty"), ("dark", "soft-dirty"), ("light", "half-the")):
        opened = Opened(browser, compared, color_scheme=scheme, bypass_csp=True)
        opened.page.fill("#filter", name)
        opened.page.click("#unfold")
        found = axe.Axe().run(opened.page)
        assert found.response["violations"] == [], found.generate_report()


def test_are_the_pictures_of_verify_and_diff_accessible(browser: Any, tmp_path: Path) -> None:
    """Does axe-core find nothing, and does the page not scroll sideways in a narrow window?"""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    texts = {
        "verify": verification_page([run_of(MODEL, KERNEL)], only_notable=False),
        "diff": render("html", REPORTS["diff"]),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.html").write_text(text)
        for scheme in ("light", "dark"):
            how: dict[str, Any] = {"viewport": {"width": 360, "height": 800}}
            opened = Opened(
                browser, tmp_path / f"{name}.html", color_scheme=scheme, bypass_csp=True, **how
            )
            assert opened.page.evaluate("document.documentElement.scrollWidth") == 360
            found = axe.Axe().run(opened.page)
            assert found.response["violations"] == [], found.generate_report()
            assert opened.quiet()


COLORS = """
["body", ".legend .H, .legend .N"].map((of) => getComputedStyle(document.querySelector(of)))
  .map((style) => [style.backgroundColor, style.borderLeftColor])"""


def test_is_a_printed_page_light_and_unfolded(browser: Any, compared: Path) -> None:
    """Also where the screen is dark: is the paper white, are the states those of the light page?"""
    light = Opened(browser, compared, color_scheme="light").page
    dark = Opened(browser, compared, color_scheme="dark").page
    assert light.evaluate(COLORS) != dark.evaluate(COLORS)
    for page in (light, dark):
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
    assert light.evaluate(COLORS) == dark.evaluate(COLORS)
    assert dark.evaluate(COLORS)[0][0] == "rgb(255, 255, 255)"


def test_does_a_hostile_name_show_as_text(browser: Any, tmp_path: Path) -> None:
    """Does nothing run, and does the name stand in the heading as it is?"""
    (tmp_path / "a.yaml").write_text(
        f"name: '{HOSTILE}'\nsteps:\n- mmap: buf\n  size: 8KiB\n- write: buf\n"
    )
    page = tmp_path / "a.html"
    run("run", str(tmp_path / "a.yaml"), "--format", "html", "-o", str(page))
    opened = Opened(browser, page)
    assert HOSTILE in opened.page.locator("h1").inner_text()
    assert opened.page.locator("img").count() == 0
    assert opened.quiet()


def test_does_it_read_without_javascript(browser: Any, compared: Path) -> None:
    """Is the text there, and no button that does nothing?"""
    opened = Opened(
        browser, compared, java_script_enabled=False, viewport={"width": 420, "height": 900}
    )
    page = opened.page
    page.click("details.item >> nth=0 >> summary >> nth=0")
    assert page.locator("table.strips").first.is_visible()
    assert not page.locator("button").first.is_visible()
