"""The manual pages of `docs/man`, made from the help of each command by click-man."""

from __future__ import annotations

import re
from copy import copy
from typing import Final, TypeVar

import click
from click_man.core import generate_man_page

from swaptrace import __version__
from swaptrace.cli import main
from swaptrace.cli.program import COMMANDS

Command = TypeVar("Command", bound=click.Command)

NO_DATE: Final = f"swaptrace {__version__}"
"""In the place of a date, which would differ from day to day."""

VERBATIM: Final = re.compile(r"^\.PP\n\x08\n((?:(?!\.).*\n)+)", re.MULTILINE)
"""A paragraph that click does not wrap, which click-man does not know of."""


def pages() -> dict[str, str]:
    """File name to text, for the program and each of its commands."""
    program = whole(main)
    above = click.Context(program, info_name="swaptrace")
    program.commands = {name: whole(found(above, name)) for name in COMMANDS}
    made = {"swaptrace.1": page(above)}
    for name, command in program.commands.items():
        made[f"swaptrace-{name}.1"] = page(click.Context(command, info_name=name, parent=above))
    return made


def found(above: click.Context, name: str) -> click.Command:
    """A command of the program."""
    command = main.get_command(above, name)
    assert command is not None
    return command


def whole(command: Command) -> Command:
    """The command, whose short help is its first sentence and not cut."""
    same = copy(command)
    same.short_help = (command.help or "").strip().split("\n\n")[0].replace("\n", " ").rstrip(".")
    return same


def page(context: click.Context) -> str:
    """One page; what is not wrapped stays as it is."""
    text = generate_man_page(context, version=__version__, date=NO_DATE)
    return VERBATIM.sub(r".PP\n.nf\n\1.fi\n", text.replace("\x08\n\n", "\x08\n")).rstrip() + "\n"
