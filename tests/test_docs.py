"""Is what the documentation shows what the program does?

Every fenced block of README.md, CHANGELOG.md, docs/ and scenarios/README.md is tried, in the order
of the page and in a directory of its own, where `scenarios` is that of the checkout:

- `console`: lines that begin with `$ ` are typed, the lines after each are what it must print.
  A command that does not exit with 0 is followed by `$ echo $?`, in a pipe by
  `$ echo ${PIPESTATUS[0]}`. What is no plain command of
  swaptrace is bash's.
- `yaml` is loaded: a scenario, or a part of one that is made whole here.
- `python` is executed.
- `c` is a policy in a file.
- `sh` is for a fresh machine with a network and only compared with .ci/run.
- `diff` is for a copy of the tree: see `tests/test_contributing.py`, which tries that page.
- `<!-- file: NAME -->` before a block: it is written to that file, and a policy is not executed.

`pytest --promote` writes what the commands print over what the pages show.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from swaptrace.cli.options import FORMATS
from swaptrace.cli.program import COMMANDS
from swaptrace.csource.decision import SWAPIN_VARIABLES
from swaptrace.mm.policy import ALIASES
from swaptrace.scenario.hardware import KERNEL_DEFAULTS
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.machine import READERS
from swaptrace.scenario.operations import OPERATIONS
from tests.commandline import ROOT, run
from tests.shell import Done, bash

README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference.md"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "scenarios" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))

BLOCK = re.compile(
    r"(?:^<!-- file: (?P<file>[\w./-]+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
KINDS = {"console", "yaml", "python", "c", "sh", "text", "diff"}
LINK = re.compile(r"\]\(([^)#:]*)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
WORD = re.compile(r"\S*[A-Za-z0-9]\S*")
MOST_WORDS = 20_000
KERNEL_ROW = re.compile(r"^\| `(mm/\w+\.py)` \|(.*)$", re.MULTILINE)

TRIED = [page for page in PAGES if page.name != "contributing.md"]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced block: its text and where that stands in the page."""

    kind: str
    text: str
    file: str | None
    start: int
    end: int


def blocks(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        yield Block(match["kind"], match["text"], match["file"], *match.span("text"))


ASKS = {False: "$ echo $?", True: "$ echo ${PIPESTATUS[0]}"}
"""What shows the exit code of a command, and of the first one of a pipe."""


def session(text: str) -> str:
    """The console block as it would be if its commands were typed now."""
    typed = [line for line in text.splitlines() if line.startswith("$ ")]
    shown, code = "", 0
    for index, line in enumerate(typed):
        words = shlex.split(line.removeprefix("$ "))
        shown += f"{line}\n"
        if line in ASKS.values():
            shown += f"{code}\n"
            continue
        done = typed_command(words, line.removeprefix("$ "))
        code = done.code
        asked = ASKS["|" in words]
        assert code == 0 or typed[index + 1 : index + 2] == [asked], f"{line}: {done}"
        shown += done.stdout + done.stderr
    return shown


def typed_command(words: list[str], line: str) -> Done:
    """What a command does; those of swaptrace run in this process, which is faster, also where
    what they print goes through a pipe."""
    if words[0] == "cd":
        os.chdir(*words[1:])
        return Done("", "", 0)
    if words[0] != "swaptrace" or {">", "&&"} & set(words):
        return bash(line)
    command, pipe, rest = line.partition(" | ")
    result = run(*shlex.split(command)[1:])
    done = Done(result.stdout, result.stderr, result.exit_code)
    if not pipe:
        return done
    after = bash(rest, stdin=done.stdout)
    assert after.code == 0, line
    return Done(after.stdout, done.stderr + after.stderr, done.code)


def whole(text: str) -> str:
    """A scenario around a part of one."""
    if re.search("^steps:", text, re.MULTILINE):
        return text
    if text.startswith("- "):
        first = "" if text.startswith("- mmap") else "- mmap: buf\n  size: 2MiB\n"
        return f"steps:\n{first}{text}"
    return f"{text}steps:\n- mmap: buf\n  size: 2MiB\n"


def attempt(block: Block, page: Path, names: dict[str, object]) -> str:
    """Try a block; what stands in the page if it is right. `names` are those of the page's Python,
    which goes on from block to block."""
    if block.file is not None:
        Path(block.file).parent.mkdir(parents=True, exist_ok=True)
        Path(block.file).write_text(block.text)
    if block.kind == "console":
        return session(block.text)
    if block.kind == "yaml":
        load_text(whole(block.text), str(page))
    elif block.kind == "python" and block.file is None:
        exec(compile(block.text, str(page), "exec"), names)
    return block.text


@pytest.mark.parametrize("page", TRIED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_gives_what_the_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Does every command print that, every scenario load, every snippet run?"""
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    text, now, at = page.read_text(), "", 0
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(text):
        now += text[at : block.start] + attempt(block, page, names)
        at = block.end
    now += text[at:]
    if request.config.getoption("--promote"):
        page.write_text(now)
    assert now == page.read_text()


def anchors(page: Path) -> set[str]:
    """What a link can name within a page: its headings."""
    titles = HEADING.findall(BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Does each relative link name a file, and a heading that it has?"""
    missing = []
    for link, anchor in LINK.findall(page.read_text()):
        target = page.parent / link if link else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append((link, anchor))
    assert missing == []


@every_page
def test_every_block_says_what_it_is(page: Path) -> None:
    """Is none left out because it has no kind, or one that is unknown?"""
    text = page.read_text()
    assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(list(blocks(text)))
    assert {block.kind for block in blocks(text)} <= KINDS


@every_page
def test_every_file_of_an_example_is_named_where_a_reader_sees_it(page: Path) -> None:
    """Does the paragraph before each file say its name? The comment that does is not rendered."""
    text = page.read_text()
    named = [(block.file, paragraph_before(text, block)) for block in blocks(text) if block.file]
    assert [file for file, paragraph in named if f"`{file}`" not in paragraph] == []


def paragraph_before(text: str, block: Block) -> str:
    """The text above a file's comment, up to the blank line before."""
    return text[: block.start].rpartition("\n<!-- file: ")[0].rstrip().rpartition("\n\n")[2]


def test_the_setup_commands_are_those_of_the_ci() -> None:
    """Is each command of the README one line, and the second what .ci/run executes?"""
    setups = [block.text for block in blocks(README.read_text()) if block.kind == "sh"]
    assert [setup.count("\n") for setup in setups] == [1, 1]
    job, test = (setup.strip() for setup in setups)
    shown = next(block for block in blocks(README.read_text()) if block.kind == "console")
    assert job.endswith(f".venv/bin/{shown.text.splitlines()[0].removeprefix('$ ')}")
    assert test in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "pyproject.toml", ROOT / ".ci" / "run"])
def test_nobody_is_told_to_install_another_project(page: Path) -> None:
    """On the package index the bare name is somebody else's."""
    assert not re.search(r"install\s+(-\S+\s+)*['\"]?swaptrace(?!-mm)", page.read_text())


def test_the_reference_has_every_format() -> None:
    """Is there a row for each? The commands are in the help."""
    text = REFERENCE.read_text()
    assert [name for name in FORMATS if f"| `{name}` |" not in text] == []


def test_the_reference_knows_the_whole_format() -> None:
    """Is every key of the scenario format explained? `swaptrace counters` has the counters."""
    text = REFERENCE.read_text()
    keys = {key for operation in OPERATIONS.values() for key in operation.keys}
    known = {path.rpartition(".")[2] for path in READERS}
    assert [word for word in [*keys, *known, *ALIASES] if f"`{word}`" not in text] == []
    assert [name for name in OPERATIONS if f"`{name}: " not in text] == []


def test_the_reference_names_the_oldest_and_newest_kernel_of_each_series() -> None:
    """Does the row of `machine.kernel` have their bounds?"""
    major = {kernel.partition(".")[0]: kernel for kernel in reversed(list(KERNEL_DEFAULTS))}
    newest = {kernel.partition(".")[0]: kernel for kernel in KERNEL_DEFAULTS}
    bounds = ", ".join(f"`{major[each]}` to `{newest[each]}`" for each in newest)
    assert f"| `kernel` | `6.12` | {bounds}: " in REFERENCE.read_text()


def test_the_page_about_c_has_every_variable() -> None:
    """Is each named that the statements of do_swap_page() see? The functions are in the source."""
    text = (ROOT / "docs" / "c-policies.md").read_text()
    assert [name for name in SWAPIN_VARIABLES if f"`{name}`" not in text] == []


def test_the_kernel_functions_of_the_model_page_exist() -> None:
    """Does the table name functions that are there?"""
    found = KERNEL_ROW.findall((ROOT / "docs" / "model.md").read_text())
    rows = [(file, name) for file, names in found for name in re.findall(r"`(\w+)`", names)]
    assert len(rows) > 20
    package = ROOT / "swaptrace"
    missing = [row for row in rows if f"def {row[1]}(" not in (package / row[0]).read_text()]
    assert missing == []


def test_the_documentation_is_no_longer_than_can_be_read() -> None:
    """Have README, docs and the help of all commands together no more words than that? The lines
    of a table are none."""
    helps = [run(*name, "--help").stdout for name in [(), *((name,) for name in COMMANDS)]]
    pages = [README.read_text(), *(page.read_text() for page in (ROOT / "docs").rglob("*.md"))]
    assert sum(len(WORD.findall(text)) for text in [*helps, *pages]) <= MOST_WORDS


@every_page
def test_the_pages_speak_of_the_project_alone(page: Path) -> None:
    """No path of a machine, no work that is left to do."""
    assert not re.search(r"FIX[M]E|/(work|home|root|tmp)/", page.read_text())
