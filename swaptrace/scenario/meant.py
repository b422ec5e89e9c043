"""What is meant by names that a scenario does not have, but system calls or their flags do.

A hint is the end of a message: what to write instead, or that there is nothing to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from swaptrace.advice import PREFIX, Advice
from swaptrace.errors import quote


def _mean(names: Mapping[str, str]) -> dict[str, str]:
    """The hints of names for which there is one name."""
    return {name: f"did you mean {quote(meant)}?" for name, meant in names.items()}


NO_MODEL: Final = "it is not modelled"
DEFAULT: Final = "leave it out: mappings are private and anonymous anyway"

OPERATIONS: Final[Mapping[str, str]] = {
    **_mean(
        {
            "uffd_wp": "uffd_writeprotect",
            "prctl": "memory_merge",
            "ksm": "ksm_scan",
            "move_pages": "migrate",
            "mbind": "migrate",
            "vfork": "fork",
            "clone": "fork",
            "ptrace": "poke",
        }
    ),
    "process_madvise": "write 'madvise' with a 'target'",
    "uffd_rwprotect": "write 'uffd_writeprotect' with `mode: rwp`",
    "mlock2": "write 'mlock' with 'flags'",
    "vmsplice": "write 'pin' with `mode: get`",
    **dict.fromkeys(("exec", "execve", "thread", "msync", "mseal"), NO_MODEL),
    **dict.fromkeys(("fallocate", "ftruncate", "truncate", "remap_file_pages"), NO_MODEL),
    **dict.fromkeys(("uffd_continue", "uffd_move", "uffd_poison", "uffd_wake"), NO_MODEL),
}
"""Of steps."""

MAP_FLAGS: Final[Mapping[str, str]] = {
    "MAP_SHARED": "write `shared: true`",
    **dict.fromkeys(("MAP_PRIVATE", "MAP_ANONYMOUS", "MAP_ANON"), DEFAULT),
    **dict.fromkeys(("MAP_FIXED_NOREPLACE", "MAP_NONBLOCK", "MAP_STACK", "MAP_32BIT"), NO_MODEL),
    **dict.fromkeys(("MAP_DROPPABLE", "MAP_SHARED_VALIDATE", "MAP_SYNC"), NO_MODEL),
    **dict.fromkeys(("MAP_HUGE_2MB", "MAP_HUGE_1GB", "MAP_UNINITIALIZED"), NO_MODEL),
}

PROTECTIONS: Final[Mapping[str, str]] = _mean(
    {
        "wr": "rw",
        "x": "rx",
        "xr": "rx",
        "rwe": "rwx",
        "read": "r",
        "write": "w",
        "PROT_NONE": "none",
        "PROT_READ": "r",
        "PROT_WRITE": "w",
        "PROT_EXEC": "rx",
        "PROT_READ|PROT_WRITE": "rw",
        "PROT_READ | PROT_WRITE": "rw",
    }
)

PINS: Final[Mapping[str, str]] = _mean(
    {
        "FOLL_GET": "get",
        "FOLL_LONGTERM": "longterm",
        "read": "longterm_read",
        "write": "longterm",
        "vmsplice": "get",
        "io_uring": "longterm",
    }
)

ADVICE: Final[Mapping[str, str]] = _mean(
    {f"POSIX_{advice}": str(advice) for advice in Advice}
    | {f"{PREFIX}GUARD": f"{PREFIX}GUARD_INSTALL", f"{PREFIX}UNGUARD": f"{PREFIX}GUARD_REMOVE"}
)
