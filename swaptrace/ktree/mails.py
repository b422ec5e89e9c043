"""The texts of a mail or a mailbox, with the lines where they stand.

As much of RFC 5322 and 2045 as a patch needs, in time that grows with the size of the file: a
header field that is longer than any sender's is cut, what cannot be decoded is an error.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from email.header import decode_header, make_header
from itertools import islice
from quopri import decodestring
from typing import Final, NamedTuple

from swaptrace.errors import PolicyError, printable

MAX_HEADER: Final = 64 * 1024
"""Bytes of a header, `Received` fields and signatures included."""

MOST_MAILS: Final = 10_000
"""Of a mailbox."""

MAX_FIELD: Final = 1_000
"""Characters of a field that are looked at."""

READ: Final = ("text/", "application/octet-stream", "application/x-patch", "application/x-diff")
"""The kinds of parts that may be a patch: programs for mail that do not know what a `.patch` is
attach it as bytes."""

MAX_NESTING: Final = 5
"""A mail within a mail, and so on."""

_START: Final = re.compile(rb"^From \S+ [^\n]*\d{4}\r?(?:\n|\Z)", re.MULTILINE)

_FIELD: Final = re.compile(rb"(?:From|Subject|Date|Message-I[dD]|MIME-Version|Received): ")

_BLANK: Final = re.compile(rb"^\r?$", re.MULTILINE)

_BOUNDARY: Final = re.compile(
    r'boundary\s{0,9}=\s{0,9}(?:"([^"\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE
)


class Text(NamedTuple):
    """A text of a mail; `line` is the first of it in the file, from 1, or None where the file shows
    it in another form (base64, quoted-printable)."""

    content: bytes
    line: int | None


class Mail(NamedTuple):
    """`subject` is decoded, on one line."""

    subject: str
    texts: tuple[Text, ...]


def is_mail(data: bytes) -> bool:
    """Whether a file is a mailbox or a mail rather than a plain text."""
    return _is_mailbox(data) or _FIELD.match(data) is not None


def _is_mailbox(data: bytes) -> bool:
    first = _START.search(data)
    return first is not None and not data[: first.start()].strip()


def mails_of(file: str, data: bytes) -> Iterator[Mail]:
    """Every mail of a file. Raises `PolicyError` with the line of what cannot be read."""
    reader = _MailReader(file, data)
    if not _is_mailbox(data):
        yield reader.mail(0, len(data))
        return
    starts = list(islice(_START.finditer(data), MOST_MAILS + 1))
    if len(starts) > MOST_MAILS:
        raise reader.error(
            starts[-1].start(), f"a mailbox of more than {MOST_MAILS:,} mails is no patch series"
        )
    ends = [*(match.start() for match in starts[1:]), len(data)]
    for match, end in zip(starts, ends, strict=True):
        yield reader.mail(match.end(), end)


class _MailReader:
    """Reads a file from its beginning to its end, and knows the line where it is."""

    def __init__(self, file: str, data: bytes) -> None:
        self.file, self.data = file, data
        self._counted, self._line = 0, 1

    def line(self, at: int) -> int:
        """The line of an offset no smaller than the one asked for before."""
        self._line += self.data.count(b"\n", self._counted, at)
        self._counted = at
        return self._line

    def error(self, at: int, message: str) -> PolicyError:
        return PolicyError(f"{printable(self.file)}:{self.line(at)}: {message}")

    def mail(self, start: int, end: int) -> Mail:
        fields, body = self.header(start, end)
        texts = tuple(self.texts(fields, body, end, MAX_NESTING))
        return Mail(_subject(fields.get("subject", "")), texts)

    def header(self, start: int, end: int) -> tuple[Mapping[str, str], int]:
        """The fields by their names in small letters, and where the body begins."""
        blank = _BLANK.search(self.data, start, min(end, start + MAX_HEADER))
        if blank is None and end - start >= MAX_HEADER:
            raise self.error(start, f"the header of this mail has more than {MAX_HEADER} bytes")
        stop = end if blank is None else blank.start()
        fields: dict[str, str] = {}
        name = ""
        for line in self.data[start:stop].decode("utf-8", "surrogateescape").splitlines():
            if line[:1] in (" ", "\t"):
                if len(fields.get(name, "")) < MAX_FIELD:
                    fields[name] = fields.get(name, "") + line[:MAX_FIELD]
                continue
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields.setdefault(name, value[:MAX_FIELD].strip())
        return fields, end if blank is None else min(end, blank.end() + 1)

    def texts(self, fields: Mapping[str, str], start: int, end: int, depth: int) -> Iterator[Text]:
        """The texts of a body, those within its parts included."""
        kind = fields.get("content-type", "text/plain").lower()
        if kind.startswith("multipart/"):
            boundary = _BOUNDARY.search(fields["content-type"])
            if boundary is None:
                raise self.error(start, "a mail of several parts without a boundary between them")
            if depth == 0:
                raise self.error(start, f"parts of mails nested more than {MAX_NESTING} deep")
            name = (boundary.group(1) or boundary.group(2)).encode("utf-8", "surrogateescape")
            for first, last in _parts(self.data, name, start, end):
                inner, body = self.header(first, last)
                yield from self.texts(inner, body, last, depth - 1)
        elif kind.startswith(READ):
            yield self.text(fields, start, end)

    def text(self, fields: Mapping[str, str], start: int, end: int) -> Text:
        encoding = fields.get("content-transfer-encoding", "").lower()
        body, line = self.data[start:end], self.line(start)
        if encoding == "quoted-printable":
            return Text(decodestring(body), None)
        if encoding != "base64":
            return Text(body, line)
        try:
            return Text(binascii.a2b_base64(body + b"===="), None)
        except binascii.Error as wrong:
            raise self.error(start, f"base64 that cannot be decoded: {wrong}") from None


def _parts(data: bytes, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each part between boundaries begins and ends."""
    mark = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    first: int | None = None
    for match in mark.finditer(data, start, end):
        if first is not None:
            yield first, match.start()
        first = match.end()
        if match.group(1):
            return
    if first is not None:
        yield first, end


def _subject(raw: str) -> str:
    """Decoded (RFC 2047); as it stands where that cannot be done."""
    try:
        subject = str(make_header(decode_header(raw)))
    except Exception:  # the library raises a dozen kinds for as many ways to write nonsense
        subject = raw
    return " ".join(subject.split())
