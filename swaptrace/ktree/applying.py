"""Applying the hunks of a unified diff to a text, by the rules of `git apply`.

Nothing but text is looked at: no repository, no attributes, no filters, no program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from swaptrace.ktree.diff import Hunk

MOST_CONTEXT: Final = 1 << 30

FUZZY_CONTEXT: Final = 1
"""What is tried where a hunk does not fit as it stands: `-C1` of git, fuzz 2 of patch(1)."""


MOST_TRIES: Final = 3_000_000
"""Places that are looked at for all hunks of all patches: some hundred hunks that are nowhere in
mm/memory.c."""

COMPARED: Final = 64
"""Lines that are compared in the time that it takes to look at a place."""

SPLIT: Final = 4
"""Lines that are told apart or copied in that time."""


class Applied(NamedTuple):
    """The new text, and whether less context was asked for than the hunks have."""

    text: str
    fuzzy: bool


class Refused(Exception):
    """A hunk that does not apply."""

    def __init__(self, hunk: Hunk) -> None:
        super().__init__(hunk.header)
        self.hunk = hunk


class Exhausted(Exception):
    """What looks for the places of hunks has looked at `MOST_TRIES`."""


class Effort:
    """Counts the places that are looked at. A patch is no program, and must not take as long."""

    def __init__(self) -> None:
        self.left = MOST_TRIES

    def spend(self, tries: int) -> None:
        """Raises `Exhausted`."""
        self.left -= tries
        if self.left < 0:
            raise Exhausted


class _Image(NamedTuple):
    """The lines that a hunk expects and those that it leaves, and how many at either end are
    context."""

    old: list[str]
    new: list[str]
    leading: int
    trailing: int


class _PatchedFile:
    """The lines of the text with their ends, and which of them a hunk has already been at."""

    def __init__(self, text: str, effort: Effort) -> None:
        self.lines = _split(text)
        self.patched = [False] * len(self.lines)
        self.effort = effort
        effort.spend(len(self.lines) // SPLIT)

    def fits(self, old: Sequence[str], at: int) -> bool:
        self.effort.spend(1 + len(old) // COMPARED)
        end = at + len(old)
        if end > len(self.lines) or self.lines[at:end] != old:
            return False
        return not any(self.patched[at:end])

    def replace(self, at: int, image: _Image) -> None:
        end = at + len(image.old)
        self.lines[at:end] = image.new
        self.patched[at:end] = [True] * len(image.new)


def apply(text: str, hunks: Sequence[Hunk], effort: Effort) -> Applied:
    """All of the hunks, or none. Raises `Refused` with the first that does not fit, `Exhausted`
    where that takes too long."""
    try:
        return Applied(_apply(text, hunks, MOST_CONTEXT, effort), False)
    except Refused:
        return Applied(_apply(text, hunks, FUZZY_CONTEXT, effort), True)


def _apply(text: str, hunks: Sequence[Hunk], context: int, effort: Effort) -> str:
    file = _PatchedFile(text, effort)
    for hunk in hunks:
        _apply_hunk(file, hunk, context)
    return "".join(file.lines)


def _apply_hunk(file: _PatchedFile, hunk: Hunk, context: int) -> None:
    """At the place nearest to where it should be, with less and less context, down to the limit.

    What has no context before it belongs to the beginning of the file, or after it to its end.
    """
    image = _image(hunk)
    place = max(0, hunk.new - 1)
    at_start, at_end = hunk.old <= 1, not image.trailing
    while True:
        at = _found(file, image.old, place, at_start, at_end)
        if at is not None:
            return file.replace(at, image)
        if image.leading <= context and image.trailing <= context:
            raise Refused(hunk)
        if at_start or at_end:
            at_start = at_end = False
            continue
        file.effort.spend(1 + len(image.old) // SPLIT)
        longer = image.leading >= image.trailing
        if longer:
            image = _Image(image.old[1:], image.new[1:], image.leading - 1, image.trailing)
            place -= 1
        if image.trailing > image.leading:
            image = _Image(image.old[:-1], image.new[:-1], image.leading, image.trailing - 1)


def _found(
    file: _PatchedFile, old: Sequence[str], place: int, at_start: bool, at_end: bool
) -> int | None:
    last = len(file.lines) - len(old)
    if last < 0:
        return None
    if at_start or at_end:
        only = 0 if at_start else last
        return only if (not at_end or only == last) and file.fits(old, only) else None
    # A place before the beginning, which less context leads to, counts from the end: git's
    # find_pos() compares it without its sign.
    for at in _nearest(last if place < 0 else min(place, last), last):
        if file.fits(old, at):
            return at
    return None


def _nearest(place: int, last: int) -> Iterator[int]:
    """The place, then those around it, before and behind in turn."""
    yield place
    for distance in range(1, last + 1):
        if place - distance >= 0:
            yield place - distance
        if place + distance <= last:
            yield place + distance


def _image(hunk: Hunk) -> _Image:
    old: list[str] = []
    new: list[str] = []
    signs: list[str] = []
    for line in hunk.text.split("\n")[1:]:
        sign, text = line[:1], f"{line[1:]}\n"
        if sign == "\\":  # the line before has no end
            for lines in _sides(signs[-1] if signs else " ", old, new):
                if lines:
                    lines[-1] = lines[-1].removesuffix("\n")
            continue
        for lines in _sides(sign, old, new):
            lines.append(text)
        signs.append(sign)
    changed = [number for number, sign in enumerate(signs) if sign != " "]
    if not changed:
        return _Image(old, new, len(signs), len(signs))
    return _Image(old, new, changed[0], len(signs) - 1 - changed[-1])


def _sides(sign: str, old: list[str], new: list[str]) -> list[list[str]]:
    """Which of the two sides a line of that sign is on."""
    return {"-": [old], "+": [new]}.get(sign, [old, new])


def _split(text: str) -> list[str]:
    """Lines that end with a line feed and nothing else; the last may have no end."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])
