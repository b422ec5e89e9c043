"""Finding policies: by name, alias or path.

The shipped ones, and those of other packages, register in the entry-point group
`swaptrace.policies`; a path to a `.py` file that defines one `Policy` class serves as well, and
so does a `.c` file (`swaptrace.csource`), or `kernel:` and a tree (`swaptrace.ktree`).
Everything about a policy is checked here, before a replay starts with it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from swaptrace.errors import PolicyError, did_you_mean
from swaptrace.mm.policy import Policy

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "swaptrace.policies"

ALIASES: Final[Mapping[str, str]] = {"old": "prepatch", "new": "final", "v2": "suggested"}

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


def find(name_or_path: str, defines: Collection[str] = ()) -> Policy:
    """The policy of that name, alias, file or kernel tree; in C, `defines` are defined.

    Raises `PolicyError` that names the policy and says what is wrong, or what there is.
    """
    if name_or_path.startswith("kernel:"):
        # Imported here, as below: nothing else needs the parser.
        from swaptrace.ktree.policy import from_spec

        return from_spec(name_or_path, defines)
    if name_or_path.endswith(".py"):
        return from_file(name_or_path)
    if name_or_path.endswith(".c"):
        from swaptrace.csource.cfile import from_file as from_c_file

        return from_c_file(name_or_path, defines)
    name = ALIASES.get(name_or_path, name_or_path)
    if name in SERIES:
        return _only_policy(import_module(f"{__name__}.{name}"), name, f"policy {name!r}")
    registered = available()
    if name not in registered:
        hint = did_you_mean(name_or_path, [*registered, *ALIASES])
        raise PolicyError(f"no policy {name_or_path!r}; {hint}")
    return _instance(_load(registered[name]), name, f"policy {name!r}")


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise PolicyError(
            f"policy {point.name!r}: cannot load {point.value}: {type(error).__name__}: {error}"
        ) from error


def from_file(path: str) -> Policy:
    """The one policy that a Python file defines; its name is the file's stem."""
    return _only_policy(_execute(Path(path)), Path(path).stem, path)


def _only_policy(module: ModuleType, name: str, where: str) -> Policy:
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
    return _instance(classes[0], name, where)


def _execute(path: Path) -> ModuleType:
    if not path.is_file():
        raise PolicyError(f"{path}: no such policy file")
    # A name that no import can clash with; the module is not registered anywhere.
    spec = importlib.util.spec_from_file_location(f"swaptrace_policy_file.{path.stem}", path)
    assert spec is not None, "a .py file always has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = f"{path}:{error.lineno}:{error.offset}"
        raise PolicyError(f"{where}: {error.msg}\n    {(error.text or '').rstrip()}") from error
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise PolicyError(f"{path}: {_where(error, path)}{what}") from error
    return module


def _where(error: BaseException, path: Path) -> str:
    """The line of the file that an exception came through last."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""


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
