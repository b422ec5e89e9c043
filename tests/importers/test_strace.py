"""Which calls does strace's text mean?"""

from __future__ import annotations

import pytest

from swaptrace.importers.strace import Calls, StraceCall


def calls(*lines: str) -> list[tuple[str, int]]:
    """The names and results of the calls in some lines."""
    reader = Calls()
    return [(call.name, call.value) for line in lines for call in reader.line(line.encode())]


@pytest.mark.parametrize(
    "before",
    ["", "4711 ", "[pid  4711] ", "4711 1795411645.126512 ", "1795411645.126512 ", "12:00:01 "],
)
@pytest.mark.parametrize("after", ["", " <0.000049>"])
def test_a_call_is_found_in_any_of_strace_s_forms(before: str, after: str) -> None:
    """With -f, -ttt, -t and -T, or without?"""
    line = f"{before}mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
    reader = Calls()
    found = list(reader.line(f"{line} = 0x7f4887dc3000{after}".encode()))
    flags = "MAP_PRIVATE|MAP_ANONYMOUS"
    arguments = ("NULL", "8192", "PROT_READ|PROT_WRITE", flags, "-1", "0")
    assert found == [StraceCall("mmap", arguments, 0x7F4887DC3000)]
    assert (found[0].number(0), found[0].number(1)) == (0, 8192)


@pytest.mark.parametrize(
    "line",
    [
        "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = -1 ENOMEM (Cannot allocate memory)",
        "1 munmap(0x1000, 4096) = ?",
        "1 +++ exited with 0 +++",
        "1 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x1ffeffedb8} ---",
        "==1== Lackey, an example Valgrind tool",
        "strace: Process 12 attached",
        "",
    ],
)
def test_what_changed_nothing_is_no_call(line: str) -> None:
    """Are failed calls, signals and noise left out?"""
    assert calls(line) == []


def test_a_call_in_two_parts_is_made_when_it_returns() -> None:
    """Where another thread's line came between?"""
    assert calls(
        "1 munmap(0x1000, 4096 <unfinished ...>",
        "2 madvise(0x2000, 4096, MADV_DONTNEED) = 0",
        "1 <... munmap resumed>) = 0",
    ) == [("madvise", 0), ("munmap", 0)]


@pytest.mark.parametrize("rest", [") = 0", " <unfinished ...>"])
def test_a_call_whose_line_was_cut_is_made_when_it_returns(rest: str) -> None:
    """Where another process's access came behind the arguments, in a file that both write to?"""
    lines = ["1 munmap(0x1000, 4096", "==1== Lackey", rest, "1 <... munmap resumed>) = 0"]
    assert calls(*lines[: 3 if "=" in rest else 4]) == [("munmap", 0)]
    assert calls("1 munmap(0x1000, 4096", "1 brk(NULL) = 0x2000", rest) == [("brk", 0x2000)]
    assert calls("1 munmap(0x1000, 4096) = -1 EINVAL", rest) == []


def test_a_child_has_memory_of_its_own_and_a_thread_has_not() -> None:
    """Are the calls of a forked process, and of its children, left out?"""
    thread = "CLONE_VM|CLONE_FS|CLONE_THREAD"
    assert calls(
        "1 brk(NULL) = 0x1000",
        "1 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2",
        f"1 clone(child_stack=0x7f, flags={thread}, parent_tid=[3]) = 3",
        "2 brk(0x2000) = 0x2000",
        "3 brk(0x3000) = 0x3000",
        f"2 clone(child_stack=0x7f, flags={thread}) = 4",
        "4 brk(0x4000) = 0x4000",
        "1 brk(0x5000) = 0x5000",
    ) == [("brk", 0x1000), ("brk", 0x3000), ("brk", 0x5000)]


def test_which_programs_children_ran_is_known() -> None:
    """The last one of each process, also if it runs before the parent's fork returns, and not those
    of threads?"""
    reader = Calls()
    for line in (
        "1 brk(NULL) = 0x1000",
        '1 execve("/bin/sh", ["sh", "-c", "a, b"], 0x7ffd /* 9 vars */) = 0',
        "1 vfork( <unfinished ...>",
        '2 execve("/usr/local/bin/sort", ["sort"], 0x7ffd /* 9 vars */) = -1 ENOENT (No such file)',
        '2 execve("/usr/bin/sort", ["sort", "a"], 0x7ffd /* 9 vars */) = 0',
        "1 <... vfork resumed>) = 2",
        "1 clone(child_stack=NULL, flags=SIGCHLD) = 3",
        "2 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_THREAD) = 4",
        "3 clone(child_stack=NULL, flags=SIGCHLD) = 5",
        '5 execve("/usr/bin/env", ["env", "uniq"], 0x7ffd /* 9 vars */) = 0',
        '5 execve("/usr/bin/uniq", ["uniq"], 0x7ffd /* 9 vars */) = 0',
    ):
        list(reader.line(line.encode()))
    assert reader.programs == {2: "sort", 3: "", 5: "uniq"}


@pytest.mark.parametrize(("flags", "expected"), [("CLONE_VM|CLONE_THREAD", 3), ("SIGCHLD", 2)])
def test_what_a_child_does_before_its_fork_returns_waits(flags: str, expected: int) -> None:
    """Is it told whose it was, although the parent's line comes later?"""
    found = calls(
        "1 brk(NULL) = 0x1000",
        f"1 clone(child_stack=NULL, flags={flags} <unfinished ...>",
        "2 brk(0x2000) = 0x2000",
        "1 <... clone resumed>, child_tidptr=0x7f) = 2",
        "1 brk(0x5000) = 0x5000",
    )
    assert len(found) == expected
    assert found[-1] == ("brk", 0x5000)
