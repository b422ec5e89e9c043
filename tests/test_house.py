"""Does the house stay in order: who imports whom, and how large files grow?"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import swaptrace
from tests.effort import part

PACKAGE = Path(swaptrace.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
OPEN_TO_ALL = {
    "swaptrace",
    "swaptrace.__version__",
    "swaptrace.advice",
    "swaptrace.backends",
    "swaptrace.vmflags",
    "swaptrace.counters",
    "swaptrace.errors",
    "swaptrace.features",
    "swaptrace.frozen",
    "swaptrace.kernels",
    "swaptrace.terminal.atomic",
    "swaptrace.terminal.exitcodes",
    "swaptrace.terminal.files",
    "swaptrace.terminal.processes",
    "swaptrace.terminal.workers",
}
ALLOWED = {
    "mm": {"mm"},
    "scenario": {"scenario"},
    "terminal": {"terminal"},
    "policies": {"policies", "mm", "csource", "ktree"},
    "reclaim": {"reclaim"},
    "traces": {"traces", "scenario.schema"},
    "csource": {"csource", "mm"},
    "ktree": {"ktree", "csource", "mm"},
    "result": {"result", "scenario"},
    "replay": {"replay", "mm", "reclaim", "traces", "policies", "result"}
    | {
        "scenario.addresses",
        "scenario.base",
        "scenario.pagescan",
        "scenario.claims",
        "scenario.hardware",
        "scenario.remap",
        "scenario.remote",
        "scenario.schema",
        "scenario.source",
        "scenario.thp",
        "scenario.uffd",
    },
    "report": {"report", "result"},
    "sweep": {"sweep", "mm", "policies", "replay", "result", "scenario"},
    "verify": {"verify", "mm", "replay", "result", "scenario", "policies", "traces", "terminal"},
    "importers": {"importers", "traces", "scenario.source", "scenario.loader"},
    "exploration": {"exploration", "mm", "replay", "result", "scenario", "report.dot"},
    "__init__.py": {"api"},
    "__main__.py": {"cli", "terminal.interruption"},
    "api.py": {"exploration", "inputs", "mm.policy", "policies"}
    | {"replay", "result", "returned", "scenario", "sweep"},
    "returned.py": {"report", "result", "rows"},
    "rows.py": {"result"},
    "advice.py": set(),
    "backends.py": set(),
    "vmflags.py": set(),
    "bundled.py": set(),
    "counters.py": set(),
    "errors.py": set(),
    "features.py": set(),
    "frozen.py": set(),
    "inputs.py": {
        "bundled",
        "csource.listing",
        "ktree.faults",
        "mm.policy",
        "policies",
        "scenario",
    },
    "kernels.py": set(),
    "pytest_plugin.py": {"inputs", "mm.policy", "policies", "replay", "result", "scenario.schema"},
}


NODES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Call)


@cache
def nodes(path: Path) -> list[ast.AST]:
    """What the tests ask of the syntax of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, NODES)]


def imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def permitted(module: str, part: str) -> bool:
    """Whether a file of this part of the package may import the module."""
    if not module.startswith("swaptrace") or module in OPEN_TO_ALL:
        return True
    inside = module.removeprefix("swaptrace.")
    if any(f"swaptrace.{inside}".startswith(f"{name}.") for name in OPEN_TO_ALL - {"swaptrace"}):
        return True
    rooms = ALLOWED[part]
    return any(inside == room or inside.startswith(f"{room}.") for room in rooms)


def forbidden(path: Path) -> set[str]:
    """The modules that a file imports and must not know."""
    part = path.relative_to(PACKAGE).parts[0]
    if part == "cli":
        return set()  # the command line may import all
    wrong = {
        module
        for module in imports(path)
        if module.startswith("swaptrace.") and not permitted(module, part)
    }
    # `from swaptrace.replay import result` names a package that is open only in part.
    return wrong - {f"swaptrace.{room.split('.')[0]}" for room in ALLOWED[part] if "." in room}


def test_no_part_imports_what_it_must_not_know() -> None:
    """Do mm and scenario stand alone, and does nobody reach behind the doors?"""
    found = {str(path.relative_to(PACKAGE)): forbidden(path) for path in FILES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


MODULES = {
    ".".join(["swaptrace", *path.relative_to(PACKAGE).with_suffix("").parts]): path
    for path in FILES
}


def depends(path: Path) -> set[Path]:
    """The files whose modules a file imports, for the types as well."""
    return {MODULES[name] for name in imports(path) if name in MODULES} - {path}


def test_nothing_goes_round_in_a_circle() -> None:
    """Can the files be put in an order in which each imports only what is before it?"""
    left = {path: depends(path) for path in FILES}
    while free := [path for path, needed in left.items() if not needed & left.keys()]:
        for path in free:
            del left[path]
    assert {str(path.relative_to(PACKAGE)) for path in left} == set()


def test_the_top_level_is_held_too() -> None:
    """May a module beside the parts of the package import only what its own entry says?"""
    top = {path.name for path in FILES if path.parent == PACKAGE}
    assert top == {part for part in ALLOWED if part.endswith(".py")}
    assert not permitted("swaptrace.verify.run", "errors.py")


def test_numpy_is_known_to_few() -> None:
    """Do only the files that say so know of arrays?"""
    users = {str(path.relative_to(PACKAGE)) for path in FILES if "numpy" in set(imports(path))}
    assert users == {
        "exploration/arrays.py",
        "exploration/automaton.py",
        "exploration/product.py",
        "exploration/refinement.py",
        "exploration/search.py",
        "importers/accesses.py",
        "importers/csvtext.py",
        "importers/digits.py",
        "importers/drmemtrace.py",
        "importers/lackey.py",
        "importers/lines.py",
        "importers/merge.py",
        "importers/perf.py",
        "importers/placing.py",
        "importers/recorder.py",
        "importers/space.py",
        "importers/steps.py",
        "reclaim/loop.py",
        "reclaim/memory.py",
        "replay/pages/arena.py",
        "replay/pages/dense.py",
        "replay/pages/flat.py",
        "replay/pages/nodes.py",
        "replay/pages/pagetables.py",
        "replay/pages/parts.py",
        "replay/pages/placing.py",
        "replay/pages/recurring.py",
        "replay/pages/sequence.py",
        "replay/runs/arrays.py",
        "replay/runs/walk.py",
        "replay/scanning.py",
        "traces/chunk.py",
        "traces/columns.py",
        "traces/csvfile.py",
        "traces/files.py",
        "traces/generator.py",
        "traces/npzfile.py",
        "traces/parquetfile.py",
        "traces/patterns.py",
        "traces/writer.py",
    }


TESTS = Path(__file__).parent
OWN = sorted(TESTS.rglob("*.py"))
EVERY = [*FILES, *OWN]


def test_no_file_is_long() -> None:
    """Does every file of the package and of the tests fit into one sitting?"""
    assert [path for path in EVERY if len(path.read_text().splitlines()) > 400] == []


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All of a file, methods and inner ones too."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How long a function is, without its decorators."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_long() -> None:
    """Has no function of the package and of the tests more than 50 lines?"""
    every = [(path, node) for path in [*FILES, *part(OWN, 4)] for node in functions(path)]
    assert [f"{path}: {node.name}" for path, node in every if lines(node) > 50] == []


def test_a_name_stands_for_one_class() -> None:
    """Is no class named like another one of the package?"""
    named = [node.name for path in FILES for node in nodes(path) if isinstance(node, ast.ClassDef)]
    assert [name for name, times in Counter(named).items() if times > 1] == []


OPENING = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "replace", "rename"}
OPENERS = {
    "terminal/atomic.py": "what writes files",
    "cli/listings.py": "scenarios that are part of the package",
    "terminal/files.py": "what opens files",
    "importers/recording.py": "/proc",
    "ktree/repository.py": "files of a commit, in a directory of their own",
    "terminal/output.py": "/dev/null",
    "reclaim/compiled.py": "files that are part of the package",
}


def opening(path: Path) -> Iterator[str]:
    """The calls of a file that open another one, or put one in its place."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            whose, _, name = called.rpartition(".")
            is_path = name not in ("open", "replace") or whose in ("", "os", "io", "Path", "gzip")
            if name in OPENING and is_path and (whose or name == "open"):
                yield called
            if called.startswith("tempfile.") and called != "tempfile.TemporaryFile":
                yield called


def test_files_are_opened_and_written_in_one_place() -> None:
    """Does nothing but `files` open what may come from a stranger, and nothing but `atomic` write
    what is the user's? (`verify` has /sys, devices and a directory of its own.)"""
    files = [path for path in FILES if path.parent.name != "verify"]
    found = {str(path.relative_to(PACKAGE)): list(opening(path)) for path in files}
    assert {name: calls for name, calls in found.items() if calls and name not in OPENERS} == {}


STARTING = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
CLOCKS = {f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time")}
PROGRAMS = ("processes.py", "__main__.py")
"""Files that no test is in."""

ASKING = [path for path in part(OWN, 4) if path.name not in PROGRAMS]


def test_tests_start_programs_in_one_way_and_take_no_time() -> None:
    """Do they use `tests/processes.py`, whose programs end with the test, and assert no seconds?"""
    found = {
        f"{path.relative_to(TESTS)}: {called}"
        for path in ASKING
        if path.parent.name != "benchmarks"
        for called in map(ast.unparse, functions_called(path))
        if called in STARTING | CLOCKS
    }
    assert found == set()


def functions_called(path: Path) -> Iterator[ast.expr]:
    """What a file calls by a name with one dot, as those above have."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            name = node.func
            if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name):
                yield name
