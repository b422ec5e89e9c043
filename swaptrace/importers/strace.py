"""What `strace -f -ttt -T -e trace=%memory` prints of the calls that change mappings.

A call that another thread's line interrupts is printed in two parts; it is made when it returns.
What else writes to the same file may cut a line after the arguments, where strace flushes it: the
rest is then a line of its own, without a name.
Calls that failed changed nothing. With `clone` and `fork` among what is traced, the calls of
child processes, which have memory of their own, are told from those of threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

LINE: Final = re.compile(
    rb"(?:\[pid +(?P<pid>\d{1,10})\] +|(?P<tid>\d{1,10}) +)?(?:[\d:]+(?:\.\d+)? +)?"
    rb"(?:(?P<name>[a-z]\w*)\((?P<text>.*)|<\.\.\. (?P<resumed>\w+) resumed>(?P<rest>.*))",
    re.DOTALL,
)
RESULT: Final = re.compile(rb"(?P<arguments>.*)\) += (?P<value>0x[0-9a-f]+|\d+)(?: .*)?", re.DOTALL)
NUMBER: Final = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,20}")
FAILED: Final = re.compile(rb"\) += (?:-|\?)")
REST: Final = (b")", b",", b" <unfinished ...>")
"""How the rest of a line begins that was cut after the arguments."""
UNFINISHED: Final = b"<unfinished ...>"
LONGEST_CALL: Final = 1 << 16
"""Bytes of what is printed of a call that is interrupted, again and again perhaps."""

FORKS: Final = ("clone", "clone3", "fork", "vfork")


FORMS: Final[Mapping[str, str]] = {
    "mmap": "nnss",
    "munmap": "nn",
    "mremap": "nnns",
    "brk": "n",
    "mprotect": "nns",
    "pkey_mprotect": "nns",
    "madvise": "nns",
    "mlock": "nn",
    "mlock2": "nns",
    "munlock": "nn",
}
"""The arguments that a call has at least: `n` is a number or NULL, `s` anything."""


class MalformedCall(ValueError):
    """A call whose arguments or result are not those of a call of its name."""


class StraceCall(NamedTuple):
    """A system call that succeeded: its name, its arguments as strace writes them, its result.

    Where its name is in `FORMS`, it has their arguments.
    """

    name: str
    arguments: tuple[str, ...]
    value: int

    def number(self, index: int) -> int:
        """An argument as a number; 0 for NULL. Raises `MalformedCall`."""
        text = self.arguments[index] if index < len(self.arguments) else ""
        return 0 if text == "NULL" else number(text)


def number(text: str) -> int:
    """A number of up to 64 bits as strace and valgrind print it, hexadecimal, decimal or, with a 0
    before it, octal. Raises `MalformedCall`."""
    if not NUMBER.fullmatch(text):
        raise MalformedCall
    try:
        value = int(text, 8 if text.startswith("0") and "x" not in text else 0)
    except ValueError:
        raise MalformedCall from None
    if value >> 64:
        raise MalformedCall
    return value


def call_of(name: str, arguments: tuple[str, ...], result: str) -> StraceCall:
    """A call, if it is one. Raises `MalformedCall`."""
    call = StraceCall(name, arguments, number(result))
    form = FORMS.get(name, "")
    if len(arguments) < len(form):
        raise MalformedCall
    for index, kind in enumerate(form):
        if kind == "n":
            call.number(index)
    return call


class Calls:
    """The calls of one process, line by line as strace prints them."""

    def __init__(self) -> None:
        self.pending: dict[int, bytes] = {}  # the first part of a call, by thread
        self.cut = b""  # the first part of a line of which something else cut off the rest
        self.forking: set[int] = set()  # threads within a fork or clone
        self.waiting: dict[int, list[StraceCall]] = {}  # of those that may be a child's
        self.threads: set[int] = set()
        self.children: set[int] = set()
        self.programs: dict[int, str] = {}  # what each child process ran last; "" for a mere copy

    def line(self, text: bytes) -> Iterator[StraceCall]:
        """What is known to be called now. Lines that are no call give nothing.

        Raises `MalformedCall` for a line that begins as a call and is none.
        """
        if self.cut and text.startswith(REST):
            text = self.cut + text
        match = LINE.fullmatch(text)
        if match is None:
            return
        self.cut = b""
        who = int(match["pid"] or match["tid"] or 0)
        if not self.threads:
            self.threads.add(who)
        whole = self.whole(who, match)
        if whole is None:
            return
        name, rest = whole
        result = RESULT.fullmatch(rest)
        if result is None:
            if not FAILED.search(rest):
                self.cut = text
            return
        call = call_of(name, arguments(result["arguments"]), result["value"].decode())
        if name in FORKS:
            yield from self.forked(who, call)
        elif who in self.children:
            self.child(who, call)
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
        if len(rest) > LONGEST_CALL:
            raise MalformedCall
        self.pending[who] = rest.removesuffix(UNFINISHED).rstrip()
        if name in FORKS:
            self.forking.add(who)
        return None

    def child(self, who: int, call: StraceCall) -> None:
        """A call in a child process: only which program it becomes is of interest."""
        if call.name == "execve" and who in self.programs:
            self.programs[who] = call.arguments[0].strip('"').rpartition("/")[2]

    def forked(self, who: int, call: StraceCall) -> Iterator[StraceCall]:
        """A new thread, which has the memory of who made it, or a child, which has not."""
        held = self.waiting.pop(call.value, [])
        thread = "CLONE_THREAD" in " ".join(call.arguments)
        if who in self.children or not thread:
            self.children.add(call.value)
            if not thread:
                self.programs.setdefault(call.value, "")
            for each in held:
                self.child(call.value, each)
            return
        self.threads.add(call.value)
        yield from held


def arguments(text: bytes) -> tuple[str, ...]:
    """The arguments of a call of which none has a comma within."""
    return tuple(part.strip() for part in text.decode("ascii", "replace").split(","))
