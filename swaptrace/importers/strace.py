"""What `strace -f -ttt -T -e trace=%memory` prints of the calls that change mappings.

A call that another thread's line interrupts is printed in two parts; it is made when it returns.
Calls that failed changed nothing. With `clone` and `fork` among what is traced, the calls of
child processes, which have memory of their own, are told from those of threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

LINE: Final = re.compile(
    rb"(?:\[pid +(?P<pid>\d+)\] +|(?P<tid>\d+) +)?(?:[\d:]+(?:\.\d+)? +)?"
    rb"(?:(?P<name>[a-z]\w*)\((?P<text>.*)|<\.\.\. (?P<resumed>\w+) resumed>(?P<rest>.*))",
    re.DOTALL,
)
RESULT: Final = re.compile(rb"(?P<arguments>.*)\) += (?P<value>0x[0-9a-f]+|\d+)(?: .*)?", re.DOTALL)
UNFINISHED: Final = b"<unfinished ...>"
FORKS: Final = ("clone", "clone3", "fork", "vfork")


class Call(NamedTuple):
    """A system call that succeeded: its name, its arguments as strace writes them, its result."""

    name: str
    arguments: tuple[str, ...]
    value: int

    def number(self, index: int) -> int:
        """An argument as a number; 0 for NULL."""
        text = self.arguments[index]
        return 0 if text == "NULL" else int(text, 0)


class Calls:
    """The calls of one process, line by line as strace prints them."""

    def __init__(self) -> None:
        self.pending: dict[int, bytes] = {}  # the first part of a call, by thread
        self.forking: set[int] = set()  # threads within a fork or clone
        self.waiting: dict[int, list[Call]] = {}  # of those that may be a child's
        self.threads: set[int] = set()
        self.children: set[int] = set()

    def line(self, text: bytes) -> Iterator[Call]:
        """What is known to be called now. Lines that are no call give nothing."""
        match = LINE.fullmatch(text)
        if match is None:
            return
        who = int(match["pid"] or match["tid"] or 0)
        if not self.threads:
            self.threads.add(who)
        whole = self.whole(who, match)
        if whole is None:
            return
        name, rest = whole
        result = RESULT.fullmatch(rest)
        if result is None:
            return
        call = Call(name, arguments(result["arguments"]), int(result["value"], 0))
        if name in FORKS:
            yield from self.forked(who, call)
        elif who in self.children:
            return
        elif who not in self.threads and self.forking:
            self.waiting.setdefault(who, []).append(call)
        else:
            yield call

    def whole(self, who: int, match: re.Match[bytes]) -> tuple[str, bytes] | None:
        """The name and the rest of a call that has returned."""
        if match["resumed"]:
            name = match["resumed"].decode()
            rest = self.pending.pop(who, b"") + match["rest"]
            self.forking.discard(who)
        else:
            name, rest = match["name"].decode(), match["text"]
        if not rest.endswith(UNFINISHED):
            return name, rest
        self.pending[who] = rest.removesuffix(UNFINISHED).rstrip()
        if name in FORKS:
            self.forking.add(who)
        return None

    def forked(self, who: int, call: Call) -> Iterator[Call]:
        """A new thread, which has the memory of who made it, or a child, which has not."""
        held = self.waiting.pop(call.value, [])
        if who in self.children or "CLONE_THREAD" not in " ".join(call.arguments):
            self.children.add(call.value)
            return
        self.threads.add(call.value)
        yield from held


def arguments(text: bytes) -> tuple[str, ...]:
    """The arguments of a call of which none has a comma within."""
    return tuple(part.strip() for part in text.decode("ascii", "replace").split(","))
