"""Finding policies: by name, alias or path.

The shipped ones, and those of other packages, register in the entry-point group
`swaptrace.policies`; a path to a `.py` file that defines one `Policy` class serves as well, and
so does a `.c` file (`swaptrace.csource`), or `kernel:` and a tree (`swaptrace.ktree`).
Everything about a policy is checked here, before a replay starts with it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from swaptrace.errors import PolicyError, SwaptraceError, did_you_mean, printable, quote
from swaptrace.kernels import KERNELS, RANGES
from swaptrace.mm.policy import ALIASES, Policy
from swaptrace.terminal.files import read_bytes

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

MAX_SOURCE: Final = 4 << 20
"""How many bytes a policy's file has at most."""

GROUP: Final = "swaptrace.policies"

_LOADED: Final = count()
"""Numbers the files as they are loaded."""

HOME: Final = re.compile(r"(?:^|(?<=^kernel:)|(?<=\+))~(?=/)")
"""`~/`, where a path begins: of the policy, of a tree, of a patch."""

SERIES: Final[tuple[str, ...]] = (
    "prepatch",
    "rfc",
    "rework",
    "suggested",
    "simple",
    "final",
    "merged",
)
"""The shipped policies in the order of the discussion, for listings."""


def available() -> dict[str, EntryPoint]:
    """Every registered policy by name, the series first and in its order."""
    # Imported here: asking what is installed takes longer than a small replay.
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group=GROUP)}
    names = [name for name in SERIES if name in found]
    names += sorted(name for name in found if name not in SERIES)
    return {name: found[name] for name in names}


def find(name: str) -> Policy:
    """The registered policy of that name or alias, or of `NAME@KERNEL` on a kernel of its own. What
    comes out of data is looked up here: a name never is a path, whatever it looks like.

    Raises `PolicyError` that names the policy and says what is wrong, or what there is.
    """
    base, at, kernel = name.partition("@")
    if at:
        return _under(find(base), kernel)
    wanted = ALIASES.get(name, name)
    if wanted in SERIES:
        return _instance(_shipped(wanted), wanted, f"policy {wanted!r}")
    registered = available()
    if wanted not in registered:
        hint = did_you_mean(name, [*registered, *ALIASES])
        raise PolicyError(f"no policy {quote(name)}; {hint}{_kinds(name)}")
    return _instance(_load(registered[wanted]), wanted, f"policy {wanted!r}")


def _kinds(name: str) -> str:
    """What a policy can be, where a name looks like that of a file."""
    kinds = "; of files, those that end in .py, .c or .h, and kernel:PATH"
    return kinds if "." in name or "/" in name else ""


def _under(policy: Policy, kernel: str) -> Policy:
    """The policy on a kernel of its own, whatever a scenario says."""
    if kernel not in KERNELS:
        wrong = f"{quote(kernel)} is not a kernel that is modelled"
        raise PolicyError(f"policy {quote(policy.name)}: {wrong}; valid: {RANGES}")
    policy.name, policy.kernel, policy.pinned = f"{policy.name}@{kernel}", kernel, True
    return policy


def from_argument(
    text: str, defines: Collection[str] = (), builtin: Collection[str] = ()
) -> Policy:
    """The policy that the user asks for: by its name, as a `.py` or `.c` file, or as `kernel:` and
    a tree; in C, `defines` are defined. Functions of a tree called `builtin` are the built-in ones.

    A `.py` file is code, and runs: only what the user himself wrote, as on the command line, may
    be given. A path may begin with `~/`. Raises `PolicyError`.
    """
    text = HOME.sub(lambda _: os.path.expanduser("~"), text)
    if text.startswith("kernel:"):
        # Imported here, as below: nothing else needs the parser.
        from swaptrace.ktree.policy import from_spec

        return from_spec(text, defines, builtin)
    if text.endswith(".py"):
        return from_file(text)
    if text.endswith(".c"):
        from swaptrace.csource.cfile import from_file as from_c_file

        return from_c_file(text, defines)
    return find(text)


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise PolicyError(
            f"policy {point.name!r}: cannot load {point.value}: {type(error).__name__}: {error}"
        ) from error


def from_file(path: str) -> Policy:
    """The one policy that a Python file defines; its name is the file's stem."""
    return _instance(_only_class(_execute(Path(path)), path), Path(path).stem, path)


@cache
def _shipped(name: str) -> type[Policy]:
    """The class of one of the series."""
    return _only_class(import_module(f"{__name__}.{name}"), f"policy {name!r}")


def _only_class(module: ModuleType, where: str) -> type[Policy]:
    """The one policy that a module defines."""
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Policy)
        and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise PolicyError(
            f"{where}: must define exactly one class derived from swaptrace.mm.policy.Policy "
            f"(found: {names})"
        )
    return classes[0]


def _execute(path: Path) -> ModuleType:
    """Run a file, from its source: what is cached beside it may be of another one."""
    shown = printable(str(path))
    try:
        source = read_bytes(path, MAX_SOURCE)
    except SwaptraceError as error:
        missing = f"{shown}: no such policy file"
        raise PolicyError(str(error) if path.exists() else missing) from None
    module = _registered(path, source)
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException as error:
        _unregister(module)
        if isinstance(error, SyntaxError):
            shown = printable(error.filename or str(path))
            where = f"{shown}:{error.lineno}:{error.offset}" if error.lineno else shown
            line = printable((error.text or "").rstrip())
            raise PolicyError(f"{where}: {error.msg}" + f"\n    {line}" * bool(line)) from error
        if isinstance(error, Exception):
            what = f"{type(error).__name__}: {error}{_beside(error, path)}"
            raise PolicyError(f"{shown}{_where(error, path)}: {what}") from error
        raise
    return module


def _registered(path: Path, source: bytes) -> ModuleType:
    """An empty module for a file, among those of the program, where dataclasses, type hints and
    pickle look for it. Its name is its own: another file of that name, or the same one loaded
    again, has another. To `from .helper import …` its directory is that of a package.
    """
    from hashlib import blake2b

    digest = blake2b(bytes(path.resolve()) + b"\0" + source, digest_size=6).hexdigest()
    name = f"_swaptrace_policy_{next(_LOADED)}_{digest}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__, module.__package__ = str(path), name
    module.__path__ = [str(path.resolve().parent)]
    return module


def _unregister(module: ModuleType) -> None:
    """Forget a file that is no policy, and what it has imported from beside it."""
    for name in list(sys.modules):
        if name == module.__name__ or name.startswith(f"{module.__name__}."):
            del sys.modules[name]


def _beside(error: Exception, path: Path) -> str:
    """What to write for a module that lies beside the file and was not found."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or not (path.parent / f"{name}.py").is_file():
        return ""
    return f"; import what lies beside the file as `from .{name} import …`"


def _where(error: BaseException, path: Path) -> str:
    """`:LINE`, the line of the file that an exception came through last."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f":{line}" if line else ""


def _instance(cls: object, name: str, where: str) -> Policy:
    if not (isinstance(cls, type) and issubclass(cls, Policy)):
        raise PolicyError(f"{where}: {cls!r} is not a class derived from Policy")
    try:
        policy = cls()
    except Exception as error:
        what = f"{cls.__name__}() raised {type(error).__name__}: {error}"
        raise PolicyError(f"{where}: {what}") from error
    policy.name = name
    return policy
