"""Is docs/commands.md what the program's own help says? `pytest --promote` makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from inspect import cleandoc

import click
import pytest

from swaptrace.cli import main
from swaptrace.cli.program import COMMANDS
from tests.commandline import ROOT

PAGE = ROOT / "docs" / "commands.md"

HEAD = """\
# The command line

<!-- Made from the program's help by `pytest tests/test_commands_page.py --promote`. -->

What a command means, with examples of its output, is in the [reference](reference.md#command-line).
"""

CONTEXT = click.Context(main, info_name="swaptrace", help_option_names=["-h", "--help"])


def command(name: str) -> click.Command:
    found = main.get_command(CONTEXT, name)
    assert found is not None
    return found


def page() -> str:
    """The whole page: the program, then each command."""
    sections = ["\n".join(section("swaptrace", main, CONTEXT))]
    for name in COMMANDS:
        context = click.Context(command(name), parent=CONTEXT, info_name=name)
        sections.append("\n".join(section(f"swaptrace {name}", command(name), context)))
    return "\n\n".join([HEAD.rstrip(), *sections]) + "\n"


def section(title: str, found: click.Command, context: click.Context) -> Iterator[str]:
    """The heading, the usage, the text and the options of one command."""
    yield f"## {title}"
    yield ""
    yield "```text"
    yield " ".join([title, *found.collect_usage_pieces(context)])
    yield "```"
    for paragraph in paragraphs(cleandoc(found.help or "")):
        yield ""
        yield from paragraph
    yield ""
    yield from options(found, context)


def paragraphs(text: str) -> Iterator[list[str]]:
    """The help's paragraphs; one after \\b is kept as it stands."""
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        if lines[0] == "\b":
            yield ["```text", *lines[1:], "```"]
        else:
            yield [markdown(line) for line in lines]


def markdown(text: str) -> str:
    """Text in which no sign is markup."""
    return text.replace("*", "\\*").replace("|", "\\|")


def options(found: click.Command, context: click.Context) -> Iterator[str]:
    """A table of the options, or of the commands of the program."""
    if found is main:
        yield "| command | |"
        yield "|---|---|"
        for name in COMMANDS:
            short = command(name).get_short_help_str(limit=1000)
            yield f"| [{name}](#swaptrace-{name}) | {markdown(short)} |"
        return
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in found.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            names, meaning = record
            yield f"| `{names.replace('|', chr(92) + '|')}` | {markdown(meaning)} |"


def test_the_page_is_what_the_help_says(request: pytest.FixtureRequest) -> None:
    """Has no option, default or sentence of the help changed since?"""
    if request.config.getoption("--promote"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def examples() -> list[str]:
    """The command lines that the help shows."""
    texts = [main.help or "", *(command(name).help or "" for name in COMMANDS)]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line.partition("   ")[0] for line in lines if line.startswith("swaptrace ")]


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_help_is_a_command_line(example: str) -> None:
    """Does it parse, with every option there is?"""
    _, name, *words = shlex.split(example)
    command(name).make_context(f"swaptrace {name}", words)


def test_every_command_has_an_example() -> None:
    """Can a newcomer copy something for each?"""
    shown = {example.split()[1] for example in examples()}
    assert shown == set(COMMANDS)
