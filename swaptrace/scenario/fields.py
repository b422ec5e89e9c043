"""A step as it is read, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Final, TypedDict, TypeVar

from swaptrace.errors import quote
from swaptrace.scenario import values
from swaptrace.scenario.addresses import ADDRESS_LIMIT
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.claims import Claims
from swaptrace.scenario.nodes import MappingNode, Node, NodeEntry, known_entries
from swaptrace.scenario.source import Report, SourceMark
from swaptrace.scenario.values import Reader, read, read_flags

T = TypeVar("T")
U = TypeVar("U")

TO_END: Final = -ADDRESS_LIMIT
"""The length of a range whose length is left out: to the end of its region."""

UFFD: Final = (
    *("uffd_register", "uffd_unregister", "uffd_writeprotect"),
    *("uffd_copy", "uffd_zeropage"),
)
ALIGNED: Final = {
    "offset": (
        "mmap",
        "munmap",
        "mprotect",
        "madvise",
        "pagemap_scan",
        "mincore",
        "migrate",
        *UFFD,
    ),
    "length": UFFD,
}
"""Where the kernel gives EINVAL unless this key is a multiple of the page size. The other
system calls, and these for their length, round to whole pages."""


EMPTY: Final = ("mincore", "pagemap_scan")
"""What succeeds on a range without pages."""

WRAPS: Final = ("munmap", "mprotect", "madvise", "mlock", "munlock", "mincore")
"""Where the kernel refuses a negative length: the end is below the start."""


class Base(TypedDict):
    line: int
    column: int
    process: str
    errno: str | None


@dataclass(slots=True)
class StepFields:
    """A step as it is read: its operation, that one's position and argument, its other keys.

    `executor` is the process that executes it if it does not say. `marks` are positions within the
    argument, as `checks.read_claims` calls them.
    """

    op: str
    mark: SourceMark
    argument: Node
    entries: dict[str, NodeEntry]
    executor: str
    report: Report
    page_size: int
    marks: dict[str, SourceMark] = field(default_factory=dict)

    def base(self) -> Base:
        """What every step has."""
        return {
            "line": self.mark.line,
            "column": self.mark.column,
            "process": self.get("process", values.name, self.executor),
            "errno": self.get("errno", values.errno_name, None),
        }

    def main(self, reader: Reader[T], otherwise: T) -> T:
        """The operation's argument."""
        return read(self.report, self.argument, self.op, reader, otherwise)

    def name(self) -> str:
        """The argument, where it is a name; empty if it is none."""
        return self.main(values.name, "")

    def main_flags(self, reader: Reader[T]) -> tuple[T, ...]:
        """The argument, where it is a list of flags."""
        return read_flags(self.report, self.argument, self.op, reader)

    def flags(self, key: str, reader: Reader[T]) -> tuple[T, ...]:
        """A list of flags, empty where the key is left out."""
        entry = self.entries.get(key)
        return () if entry is None else read_flags(self.report, entry.node, key, reader)

    def get(self, key: str, reader: Reader[T], default: U) -> T | U:
        """The value of a key that may be left out."""
        entry = self.entries.get(key)
        return default if entry is None else read(self.report, entry.node, key, reader, default)

    def require(self, key: str, reader: Reader[T], otherwise: T) -> T:
        """The value of a key that may not."""
        if key not in self.entries:
            self.report.add(self.mark, f"{self.op} needs {quote(key)}")
        return self.get(key, reader, otherwise)

    def in_parts(self, key: str, readers: Mapping[str, Reader[Any]]) -> dict[str, Any]:
        """The value of a key that is a mapping, or in short the first part of that alone, which it
        needs."""
        entry, first = self.entries.get(key), next(iter(readers))
        if entry is None:
            return {}
        if not isinstance(entry.node, MappingNode):
            return {first: read(self.report, entry.node, key, readers[first], None)}
        known = known_entries(entry.node, tuple(readers), key, self.report)
        if first not in known:
            self.report.add(entry.node.mark, f"{key} needs {quote(first)}")
        return {
            part: read(self.report, given.node, f"{key}.{part}", readers[part], None)
            for part, given in known.items()
        }

    def claims(self) -> Claims:
        """The argument of a `check`."""
        from swaptrace.scenario.checks import read_claims  # few scenarios have one

        return read_claims(self.argument, self.report, self.marks)

    def span(self) -> ByteRange:
        """The range, of length `TO_END` where that is left out."""
        first = self.part("offset", values.OFFSET, 0)
        return ByteRange(first, self.part("length", self.sizes, TO_END))

    def bits(
        self, key: str, reader: Reader[str], names: Mapping[str, int], otherwise: int = 0
    ) -> int:
        """A list of flags, each by its name or as a number, as one number."""
        given = (names[flag] if flag in names else int(flag, 0) for flag in self.flags(key, reader))
        return reduce(or_, given, 0) if key in self.entries else otherwise

    @property
    def may_fail(self) -> bool:
        """Whether the system call is to fail."""
        return "errno" in self.entries

    @property
    def sizes(self) -> Reader[int]:
        """What the length of a range, or of a region, may be: 0, or negative, if the system call is
        to fail."""
        if self.may_fail and self.op in WRAPS:
            return values.ANY_LENGTH
        return values.LENGTH_OR_NONE if self.may_fail or self.op in EMPTY else values.LENGTH

    def part(self, key: str, reader: Reader[int], default: int) -> int:
        """An offset or a length; if the system call is to fail, any."""
        value = self.get(key, reader, default)
        if self.may_fail or key not in self.entries:
            return value
        if value % self.page_size and self.op in ALIGNED.get(key, ()):
            multiple = f"a multiple of the page size, {values.human(self.page_size)}"
            meant = "if that is meant, say `errno: EINVAL`"
            self.wrong(key, f"{self.op} fails with EINVAL unless this is {multiple}; {meant}")
        return value

    def wrong(self, key: str, message: str) -> None:
        """Report what is wrong with the value of a key."""
        self.report.add(self.entries[key].node.mark, f"{key}: {message}")
