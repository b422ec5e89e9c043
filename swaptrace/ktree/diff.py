"""Patches as they come: a unified diff, a mail, or a mailbox with a series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable, quote
from swaptrace.ktree.mails import Mail, is_mail, mails_of

MAX_BYTES: Final = 16 * 1024 * 1024
"""More than any series that touches the fault path."""

MOST_LINES: Final = 500_000
"""More than so large a patch has, unless its lines are hardly any longer than their ends."""

_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")

_HEADER: Final = re.compile(
    r"^(?:--- (?P<old>[^\n]*)\n\+\+\+ (?P<new>[^\n]*)\n(?P<hunk>@@ -)"
    r"|diff --git a/(?P<one>[^\s]+) b/(?P<two>[^\s]+))",
    re.MULTILINE,
)

LONGEST_HEADER: Final = 10
"""Lines that git writes about a file before its hunks."""

_NUMBER: Final = re.compile(r"\[[^][]{0,80}\b(\d{1,6})/\d{1,6}\s{0,9}\]")

_REPLY: Final = re.compile(r"\s*(?:re|aw|fwd?)\s*:", re.IGNORECASE)


class Hunk(NamedTuple):
    """A hunk with its lines, and the line of the patch file where it stands, from 1; 0 if the
    file shows it in another form. `old` and `new` are where it belongs, before and after."""

    line: int
    old: int
    new: int
    text: str

    @property
    def header(self) -> str:
        """The line of the `@@`."""
        return self.text.split("\n", 1)[0]


class FileDiff(NamedTuple):
    """What a patch does to one file. `old` and `new` are the paths as they stand there; no hunks
    mean that only its name, its mode or binary content changes."""

    old: str
    new: str
    hunks: tuple[Hunk, ...]


class Patch(NamedTuple):
    """One mail's, or one file's. `subject` is empty for a plain diff."""

    subject: str
    files: tuple[FileDiff, ...]


class Patches(NamedTuple):
    """In the order in which they are to be applied; `replies` are subjects of answers that have
    a diff as well and are left out."""

    patches: tuple[Patch, ...]
    replies: tuple[str, ...]


def patches_of(file: str, data: bytes, first_line: int | None = 1) -> Patches:
    """Everything to apply in a file; nothing if there is no diff in it.

    `first_line` is the number of the first line of a diff; None if its lines have none. Raises
    `PolicyError` with the line of a mail or a hunk that cannot be read.
    """
    check_lines(file, data.count(b"\n"))
    if not is_mail(data):
        return Patches(
            tuple(_some([Patch("", tuple(file_diffs(file, _text(data), first_line)))])), ()
        )
    mails = list(mails_of(file, data))
    check_lines(file, sum(text.content.count(b"\n") for mail in mails for text in mail.texts))
    found = _some([Patch(mail.subject, tuple(_of_mail(file, mail))) for mail in mails])
    first = [patch for patch in found if not _REPLY.match(patch.subject)]
    replies = [patch.subject for patch in found if _REPLY.match(patch.subject)] if first else []
    return Patches(tuple(_in_order(first or found)), tuple(replies))


def check_lines(file: str, lines: int) -> None:
    """Raises `PolicyError` where a file, or what is encoded in it, has too many lines."""
    if lines > MOST_LINES:
        raise PolicyError(f"{printable(file)}: more than {MOST_LINES:,} lines are no patch's")


def _some(patches: list[Patch]) -> list[Patch]:
    return [patch for patch in patches if patch.files]


def _in_order(patches: list[Patch]) -> list[Patch]:
    """As `[PATCH 2/5]` says, if each has a number of its own; else as they come."""
    matches = [_NUMBER.search(patch.subject) for patch in patches]
    numbers = [int(match.group(1)) for match in matches if match is not None]
    if len(set(numbers)) < len(patches):
        return patches
    return [patch for _, patch in sorted(zip(numbers, patches, strict=True), key=lambda p: p[0])]


def _of_mail(file: str, mail: Mail) -> Iterator[FileDiff]:
    for text in mail.texts:
        yield from file_diffs(file, _text(text.content), text.line)


def _text(data: bytes) -> str:
    """The same bytes whatever they mean, with the line ends of Unix."""
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def file_diffs(file: str, text: str, first: int | None) -> Iterator[FileDiff]:
    """The diffs in a text that begins on line `first` of its file; None if the file shows it in
    another form. Raises `PolicyError` for a hunk that is not what its first line says."""
    reader = _Reader(file, text, first)
    for match, after in pairwise([*_HEADER.finditer(text), None]):
        assert match is not None, "only the last is"
        if match.start() < reader.at:
            continue  # a line of a hunk that looks like one
        if match["old"] is not None:
            hunks = reader.hunks(match.start("hunk"))
            yield FileDiff(_path(match["old"]), _path(match["new"]), hunks)
        elif not _has_hunks(text, match, after):
            yield FileDiff(f"a/{match['one']}", f"b/{match['two']}", ())


def _has_hunks(text: str, match: re.Match[str], after: re.Match[str] | None) -> bool:
    """Whether the file that git names on a line changes in text."""
    if after is None or after["old"] is None:
        return False
    return text.count("\n", match.end(), after.start()) <= LONGEST_HEADER


def _path(name: str) -> str:
    """The path of a `---` or `+++` line, without the date that diff(1) puts behind it."""
    return name.split("\t")[0].rstrip()


class _Reader:
    """Reads the hunks of a text from its beginning to its end; `at` is how far it is."""

    def __init__(self, file: str, text: str, first: int | None) -> None:
        self.file, self.text = file, text
        self.at = 0
        self._counted, self._line = 0, first

    def hunks(self, at: int) -> tuple[Hunk, ...]:
        """The hunks that stand there."""
        found: list[Hunk] = []
        self.at = at
        while self.text.startswith("@@ -", self.at):
            found.append(self._hunk())
        return tuple(found)

    def _hunk(self) -> Hunk:
        number = self._number()
        lines = [self._next()]
        match = _HUNK.match(lines[0])
        if match is None:
            raise self._error(number, f"{quote(lines[0])} is no hunk")
        old, new = int(match[2] or 1), int(match[4] or 1)
        while (old > 0 or new > 0) and self.at < len(self.text):
            sign = self.text[self.at]
            if sign not in " +-\\\n":
                break
            lines.append(self._next() or " ")
            old -= sign in " -\n"
            new -= sign in " +\n"
        if old or new:
            raise self._error(number, f"{quote(lines[0])} has other lines than it says")
        while self.text.startswith("\\", self.at):
            lines.append(self._next())
        return Hunk(number, int(match[1]), int(match[3]), "\n".join(lines))

    def _next(self) -> str:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at : end]
        self.at = end + 1
        return line

    def _number(self) -> int:
        """The line of the file where the next one stands; 0 if it shows it in another form."""
        if self._line is None:
            return 0
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _error(self, number: int, message: str) -> PolicyError:
        where = f"{printable(self.file)}:{number}" if number else printable(self.file)
        return PolicyError(f"{where}: {message}")
