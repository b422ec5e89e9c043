"""A scenario file's text, positions in it, and the report of what is wrong there.

`read_file` and `decode` let only text through that is safe to parse and to count lines
in: of bounded size, UTF-8, without control characters. `Report` collects every mistake
of a file and raises them together.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from swaptrace.errors import Problem, ScenarioError
from swaptrace.terminal.files import A_FIFO, NotRegular, read_at_most, reason

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest scenario file that is read."""

MAX_REPORTED: Final = 100
"""How many problems of a file are reported; of the others only how many there are."""

MAX_FOUND: Final = 500
"""After this many problems nobody looks for more."""

LINE_BREAK: Final = re.compile("\r\n|\n|\r")

PLAIN: Final = re.compile("[\t\n\r\x20-\x7e]*")
"""What most scenarios consist of."""

FORBIDDEN: Final = (
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML does not allow, and what it or an editor might take for another line break. Not
compiled before it is needed: that takes longer than to read a scenario."""

BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@dataclass(frozen=True, slots=True, eq=False)
class SourceText:
    """A text that positions are in: the file, or an override of the command line.

    `order` is its place among the sources of one report.
    """

    file: str
    lines: tuple[str, ...]
    order: int = 0


class SourceMark(NamedTuple):
    """A position, counted from 1."""

    source: SourceText
    line: int
    column: int


@dataclass(slots=True)
class Report:
    """The problems found so far. Of several at one position the first is the cause of the
    others, so only that one is kept."""

    found: dict[SourceMark, str] = field(default_factory=dict)

    def add(self, mark: SourceMark, message: str) -> None:
        """Note a problem and go on."""
        self.found.setdefault(mark, message)
        if len(self.found) >= MAX_FOUND:
            raise self.error()

    def stop(self, mark: SourceMark, message: str) -> NoReturn:
        """Note a problem after which nothing more can be said, and raise all."""
        self.found.setdefault(mark, message)
        raise self.error()

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            raise self.error()

    def error(self) -> ScenarioError:
        """Everything found, in the order of the file."""
        ordered = sorted(self.found.items(), key=lambda p: (p[0].source.order, *p[0][1:]))
        problems = [problem(mark, message) for mark, message in ordered[:MAX_REPORTED]]
        rest = len(ordered) - len(problems)
        if rest:
            least = "at least " if len(ordered) >= MAX_FOUND else ""
            mark = ordered[MAX_REPORTED][0]
            message = f"… and {least}{rest} more, of which this is the first"
            problems.append(problem(mark, message))
        return ScenarioError(problems)


def problem(mark: SourceMark, message: str) -> Problem:
    """The problem with the line that its caret points into."""
    source, line, column = mark
    text = source.lines[line - 1] if line <= len(source.lines) else ""
    return Problem(source.file, line, column, message, text)


def blamed(keys: Iterable[str], said: Mapping[str, SourceMark]) -> SourceMark | None:
    """Where the foremost of these settings of a machine stands that is said, one of the command
    line before those of the file, which are right without it. A key is a path, or a section with
    all paths in it. None: none is said."""
    found = [
        mark
        for key in keys
        for path, mark in said.items()
        if path == key or path.startswith(f"{key}.")
    ]
    of_command_line = [mark for mark in found if mark.source.order < 0]
    return next(iter(of_command_line or found), None)


def read_file(path: str) -> bytes:
    """The bytes of a regular file, at most one more than `MAX_BYTES`."""
    mark = SourceMark(SourceText(path, ()), 1, 1)
    try:
        return read_at_most(path, MAX_BYTES)
    except NotRegular as error:
        hint = " (`-` reads standard input)" if error.kind == A_FIFO else ""
        Report().stop(mark, f"this is {error.kind}{hint}, not a scenario file")
    except OSError as error:
        Report().stop(mark, f"cannot be read: {reason(error)}")


def decode(data: bytes | str, file: str, order: int = 0) -> tuple[str, SourceText]:
    """The text, without a byte-order mark, and its lines."""
    if len(data) > MAX_BYTES:
        nowhere = SourceMark(SourceText(file, (), order), 1, 1)
        Report().stop(nowhere, f"too large: a scenario file has at most {MAX_BYTES >> 20}MiB")
    text = (data if isinstance(data, str) else from_utf8(data, file)).removeprefix("\ufeff")
    source = SourceText(file, tuple(LINE_BREAK.split(text)), order)
    if not PLAIN.fullmatch(text) and re.search(FORBIDDEN, text):
        report = Report()
        for number, line in enumerate(source.lines, start=1):
            for match in re.finditer(FORBIDDEN, line):
                what = f"character U+{ord(match[0]):04X} in a scenario, which is plain text"
                report.add(SourceMark(source, number, match.start() + 1), what)
        report.check()
    return text, source


def from_utf8(data: bytes, file: str) -> str:
    """Decode, or say at which byte the file stops being UTF-8, or what it is instead."""
    other = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if other is None and len(data) > 1 and (data[0] == 0) != (data[1] == 0):
        other = "UTF-16"
    if other is not None:
        nowhere = SourceMark(SourceText(file, ()), 1, 1)
        Report().stop(nowhere, f"this looks like {other}; save the file as UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        wrong_byte(data, error.start, file)


def wrong_byte(data: bytes, at: int, file: str) -> NoReturn:
    """Report the first byte that is not UTF-8."""
    before = LINE_BREAK.split(data[:at].decode().removeprefix("\ufeff"))
    rest = re.split(b"[\r\n]", data[at : at + 200])[0].decode(errors="backslashreplace")
    lines = ("",) * (len(before) - 1) + (before[-1] + rest,)
    message = f"byte {data[at]:#04x} (at offset {at}) is not UTF-8; save the file as UTF-8"
    Report().stop(SourceMark(SourceText(file, lines), len(lines), len(before[-1]) + 1), message)
