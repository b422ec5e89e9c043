"""Is what the help shows a command line, and does every option that the pages name exist?"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from swaptrace.cli import main
from swaptrace.cli.program import COMMANDS
from tests.commandline import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

OPTION = re.compile(r"`(--[a-z][a-z-]*)\b")
OTHERS = {"--swaptrace", "--swaptrace-policies", "--trace-syscalls"}
"""Those that the plug-in adds to pytest, and one of valgrind."""

CONTEXT = click.Context(main, info_name="swaptrace", help_option_names=["-h", "--help"])


def command(name: str) -> click.Command:
    found = main.get_command(CONTEXT, name)
    assert found is not None
    return found


def options() -> set[str]:
    """What may be typed after any of the commands."""
    contexts = [click.Context(command(name), parent=CONTEXT, info_name=name) for name in COMMANDS]
    found = [each for context in contexts for each in context.command.get_params(context)]
    return {word for parameter in found for word in parameter.opts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    """Was none renamed or removed since the page was written?"""
    assert set(OPTION.findall(page.read_text())) - options() - OTHERS == set()


def examples() -> list[str]:
    """The command lines that the help shows."""
    texts = [main.help or "", *(command(name).help or "" for name in COMMANDS)]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    shown = [line.partition("   ")[0] for line in lines if line.startswith("swaptrace ")]
    return [line.partition(" | ")[0] for line in shown]


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_help_is_a_command_line(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does it parse, with every option there is?"""
    image = tmp_path / "arch" / "x86" / "boot" / "bzImage"
    image.parent.mkdir(parents=True)
    image.touch()
    monkeypatch.chdir(tmp_path)
    _, name, *words = shlex.split(example)
    command(name).make_context(f"swaptrace {name}", words)


def test_every_command_has_an_example() -> None:
    """Can a newcomer copy something for each?"""
    shown = {example.split()[1] for example in examples()}
    assert shown == set(COMMANDS)
