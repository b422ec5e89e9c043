"""Patches as they come: a unified diff, a mail, or a mailbox with a series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import Final, NamedTuple

MAX_BYTES: Final = 16 * 1024 * 1024
"""More than any series that touches the fault path."""

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")

_FILES: Final = re.compile(r"diff --git a/(\S+) b/(\S+)")

LONGEST_HEADER: Final = 10
"""Lines that git writes about a file before its hunks."""

_MAIL: Final = re.compile(rb"^From \S+ .*\d{4}\r?$", re.MULTILINE)

_FIELD: Final = re.compile(rb"(?:From|Subject|Date|Message-I[dD]|MIME-Version|Received): ")

_NUMBER: Final = re.compile(r"\[[^]]*\b(\d+)/\d+\s*\]")

_REPLY: Final = re.compile(r"\s*(?:re|aw|fwd?)\s*:", re.IGNORECASE)


class Hunk(NamedTuple):
    """A hunk with its lines, and the line of the patch file where it stands, from 1; 0 if the
    file shows it in another form."""

    line: int
    first: int
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


def patches_of(data: bytes) -> Patches:
    """Everything to apply in a file; nothing if there is no diff in it."""
    mails = list(_mails(data))
    if not mails:
        return Patches(tuple(_some([Patch("", tuple(file_diffs(_text(data), 1)))])), ())
    raw = _text(data)
    found = _some([Patch(_subject(mail), tuple(_of_mail(mail, raw))) for mail in mails])
    first = [patch for patch in found if not _REPLY.match(patch.subject)]
    replies = [patch.subject for patch in found if _REPLY.match(patch.subject)] if first else []
    return Patches(tuple(_in_order(first or found)), tuple(replies))


def _some(patches: list[Patch]) -> list[Patch]:
    return [patch for patch in patches if patch.files]


def _in_order(patches: list[Patch]) -> list[Patch]:
    """As `[PATCH 2/5]` says, if each has a number of its own; else as they come."""
    matches = [_NUMBER.search(patch.subject) for patch in patches]
    numbers = [int(match.group(1)) for match in matches if match is not None]
    if len(set(numbers)) < len(patches):
        return patches
    return [patch for _, patch in sorted(zip(numbers, patches, strict=True), key=lambda p: p[0])]


def _mails(data: bytes) -> Iterator[Message]:
    """The mails of a mailbox, or the one that the file is; none if it is a plain diff."""
    starts = [match.start() for match in _MAIL.finditer(data)]
    if starts and not data[: starts[0]].strip():
        for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
            yield message_from_bytes(data[data.index(b"\n", start) + 1 : end])
    elif _FIELD.match(data):
        yield message_from_bytes(data)


def _subject(mail: Message) -> str:
    try:
        subject = str(make_header(decode_header(mail.get("Subject", ""))))
    except (LookupError, ValueError):  # a character set that nobody knows
        subject = str(mail.get("Subject", ""))
    return " ".join(subject.split())


def _of_mail(mail: Message, raw: str) -> Iterator[FileDiff]:
    for part in mail.walk():
        if part.get_content_maintype() != "text":
            continue
        payload = part.get_payload(decode=True)
        text = _text(payload if isinstance(payload, bytes) else b"")
        at = raw.find(text) if text else -1
        yield from file_diffs(text, raw.count("\n", 0, at) + 1 if at >= 0 else None)


def _text(data: bytes) -> str:
    """The same bytes whatever they mean, with the line ends of Unix."""
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def file_diffs(text: str, first: int | None) -> Iterator[FileDiff]:
    """The diffs in a text that begins on line `first` of its file; None if the file shows it in
    another form."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if _is_header(lines, at):
            hunks, end = _hunks(lines, at + 2, first)
            yield FileDiff(_path(lines[at]), _path(lines[at + 1]), hunks)
            at = end
            continue
        match = _FILES.match(lines[at])
        if match is not None and not _has_hunks(lines, at + 1):
            yield FileDiff(f"a/{match.group(1)}", f"b/{match.group(2)}", ())
        at += 1


def _is_header(lines: list[str], at: int) -> bool:
    starts = ("--- ", "+++ ", "@@ -")
    following = lines[at : at + 3]
    return len(following) == 3 and all(map(str.startswith, following, starts))


def _has_hunks(lines: list[str], at: int) -> bool:
    """Whether the file that git names on the line before changes in text."""
    for number in range(at, min(at + LONGEST_HEADER, len(lines))):
        if lines[number].startswith("diff --git"):
            return False
        if _is_header(lines, number):
            return True
    return False


def _path(line: str) -> str:
    """The path of a `---` or `+++` line, without the date that diff(1) puts behind it."""
    return line[4:].split("\t")[0].rstrip()


def _hunks(lines: list[str], at: int, first: int | None) -> tuple[tuple[Hunk, ...], int]:
    """The hunks from a line on, and the line behind them."""
    found: list[Hunk] = []
    while at < len(lines):
        match = _HUNK.match(lines[at])
        if match is None:
            break
        end = _hunk_end(lines, at + 1, int(match.group(2) or 1), int(match.group(3) or 1))
        line = 0 if first is None else first + at
        body = [" " if text == "" else text for text in lines[at + 1 : end]]
        found.append(Hunk(line, int(match.group(1)), "\n".join([lines[at], *body])))
        at = end
    return tuple(found), at


def _hunk_end(lines: list[str], at: int, old: int, new: int) -> int:
    """Behind the last line of a hunk that has so many lines before and after."""
    while at < len(lines) and (old > 0 or new > 0):
        sign = lines[at][:1] or " "
        if sign not in " +-\\":
            break
        old -= sign in " -"
        new -= sign in " +"
        at += 1
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    return at
