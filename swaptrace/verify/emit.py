"""A scenario as a C program of one file that performs it with real system calls."""

from __future__ import annotations

from importlib.resources import files
from typing import Final, get_args

from swaptrace.advice import Advice
from swaptrace.backends import BACKENDS, NO_SWAP
from swaptrace.errors import ScenarioError, printable
from swaptrace.mm.uffd import Uffd
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.source import SourceMark, SourceText, problem
from swaptrace.scenario.thp import ThpSize
from swaptrace.scenario.values import human
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit_steps import CNames, Writer, ored, size
from swaptrace.verify.needs import TOO_EARLY, Needs, needs, too_early
from swaptrace.verify.records import TraceTables
from swaptrace.verify.thp import advises_regions, kib, settings

RUNTIME: Final = (
    "base.c",
    "memory.c",
    "lock.c",
    "keep.c",
    "thp.c",
    "limit.c",
    "random.c",
    "access.c",
    "map.c",
    "force.c",
    "ksm.c",
    "uffd.c",
    "hold.c",
    "pin.c",
    "scan.c",
    "process.c",
    "controller.c",
    "check.c",
    "main.c",
)
"""The parts that are the same for every program, in this order behind its steps."""


def emit_c(scenario: Scenario) -> str:
    """The program: C11, needs nothing but libc and Linux, and prints JSON lines.

    The first line holds the facts of the kernel, each further one what an executed step
    counted and the page maps after it (`observed` reads them). Raises `TraceError` where a
    trace cannot be read, `Unfit` where it cannot be held by a program, and `ScenarioError`.
    """
    wanted, early = needs(scenario), too_early(scenario)
    if early is not None:
        mark = SourceMark(SourceText(scenario.file, scenario.text), early.line, early.column)
        raise ScenarioError([problem(mark, f"{TOO_EARLY}; leave these flags out")])
    processes, regions = CNames("P_", wanted.processes), CNames("R_", wanted.regions)
    tables = TraceTables(scenario, regions)
    how = (scenario.machine.page_size, wanted.contexts, wanted.data_pages > 0)
    known = CNames("F_", wanted.files)
    body = Writer(processes, regions, known, tables.calls, *how).steps(scenario.steps)
    constants = [
        *(line for advice in wanted.advice for line in numbered(advice)),
        enumeration(processes, "PROCESSES"),
        enumeration(regions, "REGIONS"),
        enumeration(known, "FILES"),
        names("process_names", wanted.processes),
        names("region_names", wanted.regions),
        names("file_names", wanted.files),
        *requirements(scenario, wanted),
        f"static const unsigned long needed_bytes = {size(wanted.memory)};",
        *tables.definitions,
        "",
    ]
    parts = [
        comment(scenario),
        source("steps.h"),
        "\n".join(constants),
        "\n".join(["static void scenario(void)", "{", *body, "}", ""]),
        *(source(name) for name in RUNTIME),
    ]
    return "\n".join(parts)


def requirements(scenario: Scenario, wanted: Needs) -> list[str]:
    """What the runtime is compiled for: the machine, and what the steps need."""
    machine = scenario.machine
    return [
        f"#define EXPECTED_PAGE_SIZE {machine.page_size}UL",
        f"#define WAITS_FOR_IO {int(not BACKENDS[machine.swap.backend].synchronous_io)}",
        f"#define WITHOUT_SWAP {int(machine.swap.backend == NO_SWAP)}",
        f"#define NEEDS_SOFT_DIRTY {int(wanted.soft_dirty)}",
        f"#define SCANNED_PAGES {max(1, wanted.scanned)}",
        f"#define MOST_COPIED ({size(max(1 << 16, wanted.copied))})",
        f"#define NEEDS_UFFD {int(wanted.uffd)}",
        f"#define NEEDS_RWP {int(wanted.rwp)}",
        *userfaultfds(wanted.contexts),
        f"#define NEEDS_MLOCK {int(wanted.mlock)}",
        f"#define LIMITS_LOCKED {int(machine.memlock is not None)}",
        f"#define MEMLOCK ({size(machine.memlock or 0)})",
        f"#define LIMIT ({size(machine.memory or 0)})",
        f"#define SWAP_LIMIT ({size(machine.swap_max or 0)})",
        f"#define MGLRU {int(machine.reclaim == 'mglru')}",
        f"#define STAT_FLUSH {machine.stat_flush}",
        f"#define LRU_DRAIN {machine.lru_drain}",
        *sizes(scenario),
        f"#define NEEDS_MLOCKALL {int(wanted.mlockall)}",
        f"#define NEEDS_PINS {int(wanted.pins)}",
        f"#define NEEDS_FORCE {int(wanted.pokes)}",
        f"#define NEEDS_GUP_TEST {int(wanted.gup_test)}",
        f"#define HUGE_PAGES {machine.hugepages if wanted.huge_pages else -1}",
        f"#define NEEDS_KSM {int(wanted.ksm)}",
        f"#define LONGEST_SHUFFLE {max(1, wanted.shuffled)}",
        f"#define MOST_RANKS {max(1, wanted.ranks)}",
        f"#define DATA_PAGES {max(1, wanted.data_pages)}",
    ]


def userfaultfds(contexts: tuple[Uffd, ...]) -> list[str]:
    """The features of each, and the byte of the pages that its handler gives."""
    return [
        f"#define CONTEXTS {len(contexts)}",
        "static const struct context contexts[CONTEXTS] = {",
        *(f"\t{{{ored(features_of(each))}, {each.fill:#x}}}," for each in contexts),
        "};",
    ]


def sizes(scenario: Scenario) -> list[str]:
    """The sizes of large folios, and what each is set to; "" where they are left as they are."""
    wanted = settings(scenario)
    known = get_args(ThpSize)
    listed = ", ".join(f'{{"{size}", {kib(size)}, "{wanted.get(size, "")}"}}' for size in known)
    return [
        f"#define LARGE_FOLIOS {int(bool(wanted))}",
        f"#define ADVISES_REGIONS {int(advises_regions(scenario))}",
        f"#define THP_SIZES {len(known)}",
        "static const struct { const char *name; int kib; const char *enabled; } thp_sizes[] = {",
        f"\t{listed}",
        "};",
    ]


def features_of(context: Uffd) -> tuple[str, ...]:
    """What a userfaultfd is opened with."""
    wanted = {
        "PAGEFAULT_FLAG_WP": True,
        "EVENT_FORK": context.event_fork,
        "WP_UNPOPULATED": context.unpopulated,
        "WP_ASYNC": context.wp_async,
        "WP_HUGETLBFS_SHMEM": context.hugetlbfs_shmem,
    }
    return tuple(f"UFFD_FEATURE_{name}" for name, on in wanted.items() if on)


def numbered(advice: Advice) -> list[str]:
    """The number of an advice, for headers that are older than it."""
    return [f"#ifndef {advice}", f"#define {advice} {advice.number}", "#endif"]


def source(name: str) -> str:
    """A part that is the same for every scenario."""
    return files("swaptrace.verify").joinpath("runtime", name).read_text(encoding="utf-8")


def comment(scenario: Scenario) -> str:
    """The scenario as a comment, whatever is in it."""
    swap = scenario.machine.swap
    text = "\n".join(scenario.text).rstrip() or to_yaml(scenario).rstrip()
    where = "no swap area (" if swap.backend == NO_SWAP else f"a swap area ({swap.backend}, "
    lines = [
        f"{scenario.name}, as a program. It needs {where}page-cluster {swap.page_cluster}) and "
        "prints, as JSON",
        "lines, what the kernel counts in each step and the page maps after it. To build and run:",
        "",
        "    cc -std=c11 -O1 -ffp-contract=off -Wall -Wextra -pthread scenario.c -o scenario",
        "    ./scenario",
        "",
        *limit(scenario.machine),
        "The scenario:",
        "",
        *(f"    {line}" for line in text.split("\n")),
    ]
    return "/*\n" + "".join(f" * {harmless(line)}".rstrip() + "\n" for line in lines) + " */\n"


def limit(machine: Machine) -> list[str]:
    """What a program with a limit of memory or swap needs besides."""
    if machine.memory is None and machine.swap_max is None:
        return []
    most = {"memory": machine.memory, "swap": machine.swap_max}
    said = " and ".join(f"{what} limit is {human(size)}" for what, size in most.items() if size)
    return [
        f"Its {said}, for which it takes an empty memory cgroup:",
        "",
        "    mkdir /sys/fs/cgroup/scenario",
        "    ./scenario /sys/fs/cgroup/scenario",
        "",
    ]


def harmless(line: str) -> str:
    """Text that neither ends the comment nor makes a compiler wonder."""
    line = printable(line.replace("\t", "    "))
    return line.replace("*/", "* /").replace("/*", "/ *").replace("??/", "? ?/")


def enumeration(names: CNames, count: str) -> str:
    """Numbers for names, and how many there are; at least one, for C has no empty array."""
    members = list(names.of.values())
    return f"enum {{ {', '.join([*members, count])} }};" if members else f"enum {{ {count} = 1 }};"


def names(array: str, of: tuple[str, ...]) -> str:
    """What the output calls them."""
    listed = ", ".join(f'"{name}"' for name in of) or '""'
    return f"static const char *const {array}[] = {{ {listed} }};"
