"""Functions of C as functions of Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any, Final, NamedTuple

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.fault import MAX_WORK, Unmodelled
from swaptrace.ktree.faults.lines import Line, indented, written

_MARK: Final = re.compile(r"#@([0-9]+)$")

TOO_DEEP: Final = (RecursionError, MemoryError, SyntaxError)
"""What Python makes of text that is nested too deeply for it."""


Probe = Callable[[Any], Any]
"""What is handed a value, notes it, and gives it back."""


class ReadFunction(NamedTuple):
    """A function that has been read. `label` is what Python calls it, `lines` are its body; `marks`
    are what may turn out not to be modelled, of which `error` tells. `named` is what the text calls
    the name, `endless` what makes the error where it does not end."""

    name: str
    label: str
    parameters: list[str]
    lines: list[Line]
    marks: list[Any]
    error: Callable[[Any, str], PolicyError]
    named: str
    endless: str

    def text(self, traced: bool, probes: Container[int]) -> str:
        """As Python, with some of the probes. Every call counts as work: some functions call others
        very often."""
        body = [
            Line(f"F.enter({self.named})"),
            *([Line("F.write_protected()")] if self.name == "do_wp_page" else ()),
            Line("F.work += 1"),
            Line(f"if F.work > {MAX_WORK}: raise {self.endless}()"),
            *self.lines,
        ]
        head = Line(f"def {self.label}({', '.join(['F', *self.parameters])}):")
        return written([head, *indented(body)], traced, probes)


class CompiledFunctions:
    """Some functions that call each other; `bound` is what else they name. `traced` is whether they
    note in `Fault.trace` what is executed, `probes` are what they call besides, by number. Raises
    `PolicyError`."""

    def __init__(
        self,
        functions: Iterable[ReadFunction],
        bound: Mapping[str, Any],
        traced: bool,
        too_deep: Callable[[str], PolicyError],
        probes: Mapping[int, Probe],
    ) -> None:
        self.traced, self.probes = traced, probes
        self.functions = {_file(each): each for each in functions}
        self.names: dict[str, Any] = {
            **bound,
            **{f"probe{number}": probe for number, probe in probes.items()},
        }
        for file, each in self.functions.items():
            try:
                exec(_code(each.text(traced, probes), file), self.names)
            except TOO_DEEP:
                raise too_deep(each.name) from None

    def located(self, wrong: Unmodelled) -> PolicyError | None:
        """The error of the place in the C that something is not modelled at."""
        trace, found = wrong.__traceback__, None
        while trace is not None:
            function = self.functions.get(trace.tb_frame.f_code.co_filename)
            if function is not None:
                lines = function.text(self.traced, self.probes).split("\n")
                mark = _MARK.search(lines[trace.tb_lineno - 2])
                if mark is not None:
                    found = function.error(function.marks[int(mark[1])], str(wrong))
            trace = trace.tb_next
        return found


@lru_cache(maxsize=256)
def _code(text: str, file: str) -> CodeType:
    """A function of Python: in two trees, and with other probes, most are the same."""
    return compile(text, file, "exec")


def _file(function: ReadFunction) -> str:
    """Where Python takes the function to stand."""
    return f"<C {function.label}>"
