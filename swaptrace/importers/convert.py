"""One import, from a log to the recorder and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable
from swaptrace.importers import csvtext, drmemtrace, lackey, perf
from swaptrace.importers.accesses import Accesses
from swaptrace.importers.lines import LineBlock, LogError, blocks
from swaptrace.importers.placing import Placing
from swaptrace.importers.recorder import AccessRecorder
from swaptrace.importers.strace import Calls, MalformedCall, StraceCall
from swaptrace.terminal.files import guarded

FORMATS: Final = ("lackey", "perf", "drmemtrace", "csv")

FOREIGN: Final = 1_000_000
"""After so many lines without an access a file is taken to be no log."""

EXAMPLES: Final = {
    "lackey": " L 1ffefff588,8",
    "perf": "a 25347 25850.334792: page-faults: 56058919d038",
    "drmemtrace": "8 2: 4711 read 8 byte(s) @ 0x00007f3a5c0012a8 by PC 0x0000561c00401136",
    "csv": "4096,1",
}


class ConvertedLog(NamedTuple):
    """`skipped` lines were nothing that an import looks at. `exact` is whether each call was
    placed where it was made, `replaced` whether the program became another by execve(), `children`
    the programs of the processes that it started, "" for one that stayed a copy."""

    skipped: int
    exact: bool
    replaced: bool = False
    children: tuple[str, ...] = ()


def convert(
    fmt: str, log: Iterable[LineBlock], name: str, recorder: AccessRecorder
) -> ConvertedLog:
    """Read a log of any format. Raises `SwaptraceError` if no line of it is an access."""
    if fmt == "csv":
        rows = csvtext.Parser()
        skipped = _take(log, rows.parse, recorder)
        if rows.most >= 0:
            recorder.guessed = False
            recorder.extent.add(csvtext.FIRST, csvtext.FIRST + rows.most + 1)
    else:
        parse = perf.parse if fmt == "perf" else drmemtrace.parse
        skipped = _take(log, parse, recorder)
    if not recorder.seen:
        raise _no_access(fmt, name)
    return ConvertedLog(skipped, exact=True)


def _take(
    log: Iterable[LineBlock], parse: Callable[[LineBlock], Accesses], recorder: AccessRecorder
) -> int:
    """The accesses of a log that has no calls; how many lines were none."""
    skipped = 0
    for block in log:
        with understood(block):
            found = parse(block)
            recorder.accesses(found.page, found.write)
        skipped += len(found.others)
    return skipped


def understood(block: LineBlock) -> AbstractContextManager[None]:
    """Turn whatever goes wrong with a block into the error of its log."""
    message = "the log is not understood from here on"
    return guarded(lambda why: LogError(block.file, block.line, f"{message} ({why})"))


def convert_lackey(
    log: Iterable[LineBlock],
    name: str,
    recorder: AccessRecorder,
    strace: Iterable[StraceCall] | None = None,
) -> ConvertedLog:
    """Read a log of lackey: with calls in a list, or between its lines, or without any."""
    placing = Placing(recorder, strace or ())
    between = Calls()
    skipped = 0
    replaced = False
    for block in log:
        with understood(block):
            found = lackey.parse(block)
            begin = 0
            for line in found.others:
                placing.accesses(
                    found.page[begin : line.position], found.write[begin : line.position]
                )
                begin = line.position
                if not placing.mark(line.text):
                    text, access = lackey.behind_call(line.text)
                    calls = _calls(between, name, line.number, text) if strace is None else []
                    for call in calls:
                        if call.name != "execve":
                            recorder.call(call)
                        elif recorder.seen:  # before the first access valgrind starts
                            replaced = True
                    skipped += not calls
                    if access is not None:
                        placing.accesses(access.page, access.write)
            placing.accesses(found.page[begin:], found.write[begin:])
        if skipped > FOREIGN and not recorder.seen:
            break
    if not recorder.seen:
        raise _no_access("lackey", name)
    placing.finish()
    children = tuple(between.programs.values())
    return ConvertedLog(skipped, strace is None or placing.exact, replaced, children)


def _no_access(fmt: str, name: str) -> SwaptraceError:
    how = {
        "lackey": "; was it made by valgrind --tool=lackey --trace-mem=yes?",
        "perf": "; was it made by perf script -F comm,tid,time,event,addr?",
        "drmemtrace": "; was it made by DynamoRIO's view tool?",
        "csv": "",
    }
    return SwaptraceError(
        f"{printable(name)}: no line is an access, as {EXAMPLES[fmt]!r}{how[fmt]}"
    )


def _calls(calls: Calls, name: str, number: int, line: bytes) -> list[StraceCall]:
    """The calls of a line. Raises `LogError`."""
    try:
        return list(calls.line(line))
    except MalformedCall:
        message = "these are no arguments, or no result, of such a call as strace prints it"
        raise LogError(name, number, message, line) from None


def calls_of(file: BinaryIO, name: str) -> Iterator[StraceCall]:
    """The calls of strace's own log. Raises `SwaptraceError` if there is none in it."""
    calls = Calls()
    none = True
    for block in blocks(file, name):
        text = block.lines[1:].tobytes()
        for number, line in enumerate(text.split(b"\n"), start=block.line):
            for call in _calls(calls, name, number, line):
                none = False
                yield call
    if none:
        raise SwaptraceError(
            f"{printable(name)}: no line is a system call, as 'mmap(NULL, 4096, ...) = 0x7f...'; "
            "was it made by strace -f -ttt -T -e trace=%memory?"
        )
