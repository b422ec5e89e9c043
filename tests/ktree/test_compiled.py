"""Do functions of C do the same as Python, into which they are made, as a compiler has them do?"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from swaptrace.csource.kinds import WRITE
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.computation import UNSET
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.fault import Fault
from swaptrace.ktree.faults.program import FaultProgram
from swaptrace.ktree.faults.source import Sources
from swaptrace.ktree.faults.values import VMF
from swaptrace.mm.column import Column, Mapping, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.page import Page
from swaptrace.mm.policy import Policy
from swaptrace.verify.build import find_compiler
from tests.effort import examples
from tests.ktree.making import MEMORY
from tests.processes import completed
from tests.verify.test_emit import needs_compiler

ARGUMENTS = [(a, b) for a in (0, 1, 5) for b in (0, 3)]

TYPES = ("long", "int", "unsigned long", "unsigned int", "unsigned char")

FUEL = 40
"""How often a function goes round, at most."""


def program(text: str) -> FaultProgram:
    """One function f()."""
    dialect = FAULTS._replace(roots=("f",), needed=frozenset({"f"}))
    found = FaultProgram(Sources(None, {MEMORY: text}, {}, ()), (), dialect)
    found.read()
    return found


def call(of: FaultProgram, *arguments: Any, traced: bool = False) -> Any:
    """What f() returns."""
    page = Page(Column((Mapping(Vma()),)), Policy(), Facts())
    fault = Fault(page, 0, WRITE)
    fault.trace = [] if traced else None
    return of.functions["f"].call(fault, arguments)


class RandomC:
    """A function whose gotos go to labels of blocks around them, and whose result tells the way."""

    def __init__(self, random: Random) -> None:
        self.random, self.numbers = random, 0
        self.labels: list[list[str]] = []
        self.names = ["a", "b"]
        self.in_loop = False

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def value(self, depth: int = 2) -> str:
        if depth == 0 or self.random.random() < 0.3:
            return self.random.choice([*self.names, "1", "2", "fuel"])
        one, other = self.value(depth - 1), self.value(depth - 1)
        op = self.random.choice(["+", "-", "&", "|", "^", "<", "==", "!=", "&&", "||", "?", "!"])
        if op == "?":
            return f"({self.value(depth - 1)} ? {one} : {other})"
        return f"(!{one})" if op == "!" else f"({one} {op} {other})"

    def block(self, depth: int) -> str:
        own = [f"l{self.number()}" for _ in range(self.random.randrange(3))]
        known, name = [*self.names], f"x{self.number()}"
        declared = f"{self.random.choice(TYPES)} {name} = {self.value()};"
        self.names.append(name)
        self.labels.append(own)
        parts = [self.statement(depth) for _ in range(self.random.randrange(2, 6))]
        for label in own:
            parts.insert(self.random.randrange(len(parts) + 1), f"{label}: ;")
        self.labels.pop()
        self.names = known
        return "{ " + " ".join([declared, *parts]) + " }"

    def statement(self, depth: int) -> str:
        kind = self.random.randrange(12) if depth else self.random.randrange(5, 12)
        within = [label for labels in self.labels for label in labels]
        if kind < 2:
            return f"if ({self.value()}) {self.block(depth - 1)} else {self.block(depth - 1)}"
        if kind < 4:
            return self.loop(depth)
        if kind == 4:
            return self.block(depth - 1)
        if kind == 5 and within:
            label = self.random.choice(within)
            return f"if (fuel > 0 && {self.value()}) {{ fuel--; goto {label}; }}"
        if kind == 6 and self.in_loop:
            return f"if ({self.value()}) break;"
        if kind == 7:
            return f"if ({self.value()} == 3) return way;"
        if kind == 8:
            return f"{self.random.choice(self.names)} = {self.value()} & 15;"
        return f"way = (way * 7 + {self.number()}) & 0xffff;"

    def loop(self, depth: int) -> str:
        before, self.in_loop = self.in_loop, True
        body = self.block(depth - 1)[1:]
        self.in_loop = before
        condition = f"fuel > 0 && {self.value()}"
        if self.random.random() < 0.5:
            return f"do {{ fuel--; {body} while ({condition});"
        return f"while ({condition}) {{ fuel--; {body}"


def functions(count: int) -> list[str]:
    return [RandomC(Random(number)).block(3) for number in range(count)]


def definition(name: str, body: str) -> str:
    """A function of C."""
    head = f"static long {name}(long a, long b)"
    return f"{head}\n{{ long way = 1, fuel = {FUEL};\n{body}\nreturn way; }}\n"


def compiled(tmp_path: Path, bodies: list[str]) -> list[list[int]]:
    """What a compiler's functions return, for all arguments."""
    calls = "".join(
        f'printf("%ld\\n", f{number}({a}, {b}));\n'
        for number in range(len(bodies))
        for a, b in ARGUMENTS
    )
    texts = [definition(f"f{number}", body) for number, body in enumerate(bodies)]
    main = f"#include <stdio.h>\n{''.join(texts)}int main(void) {{ {calls} }}\n"
    binary = find_compiler(tmp_path).build(main, tmp_path, "random")
    found = [int(line) for line in completed([binary], text=True, check=True).stdout.split()]
    size = len(ARGUMENTS)
    return [found[at : at + size] for at in range(0, len(found), size)]


@needs_compiler
def test_functions_go_the_way_that_a_compiler_has_them_go(tmp_path: Path) -> None:
    """With loops, and gotos out of them, into no block?"""
    bodies = functions(examples(200))
    for body, wanted in zip(bodies, compiled(tmp_path, bodies), strict=True):
        of = program(definition("f", body))
        for traced in (False, True):
            assert [call(of, *each, traced=traced) for each in ARGUMENTS] == wanted, body


@pytest.mark.parametrize(
    ("body", "place", "wrong"),
    [
        ("return pte_write(pte_mkdirty(ptep_get(vmf->pte)));", "3:39", "with an integer here"),
        ("return pte_dirty(\npte_mkdirty(\nvmf->orig_pte));", "4:1", "needs a present PTE"),
        ("long x;\nif (vmf->pte) x = 1;\nreturn x;", "5:8", "'x' has no value here"),
        ("long x = 1; x = x << (x + 70);\nreturn x;", "3:17", "a shift by 71"),
        ("again: goto again;", "3:8", "this goes round for ever"),
        ("while (1) ;", "3:1", "this goes round for ever"),
        ("break;", "3:1", "break stands in no loop"),
        ("return vmf->orig_pte == 1;", "3:8", "a PTE is compared here"),
        ("return " + "!" * 300 + "vmf->flags;", "", "f() is nested too deeply"),
        ("if (vmf->flags) " * 120 + "return 1;", "", "f() is nested too deeply"),
    ],
)
def test_an_error_is_told_with_its_place(body: str, place: str, wrong: str) -> None:
    """Although it is Python that runs?"""
    with pytest.raises(PolicyError) as raised:
        call(program(f"long f(struct vm_fault *vmf)\n{{\n{body}\n}}\n"), VMF)
    assert wrong in str(raised.value)
    assert f":{place}" in str(raised.value)


def test_a_function_sets_a_variable_through_its_address() -> None:
    """As wide as that is?"""
    sets = "static void g(u8 *to) { *to = 300; }\n"
    text = sets + "long f(void) { u8 x = 1; g(&x); return x + *(&x); }\n"
    assert call(program(text)) == 2 * (300 % 256)


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        ("if (a) goto out;\nx = 1;\nout: return x;", (0, 0), (1, 0)),
        ("again: if (a) return x;\na = 1; if (b) x = 1; goto again;", (0, 1), (0, 0)),
        ("if (a) goto on;\nback: return x;\non: if (b) x = 1; goto back;", (1, 1), (1, 0)),
        ("while (a) { x = 1; break; }\nreturn x;", (1, 0), (0, 0)),
        ("do { if (a) break; x = 1; } while (0);\nreturn x;", (0, 0), (1, 0)),
        ("if (a) { if (b) goto out; x = 1; } else x = 1;\nout: return x;", (0, 1), (1, 1)),
        ("if (a) { if (b) x = 1; } else return 1;\nreturn x;", (1, 1), (1, 0)),
    ],
)
def test_a_variable_without_a_value_is_found(
    body: str, good: tuple[int, int], bad: tuple[int, int]
) -> None:
    """Where gotos, loops or branches lead past what sets it, for some arguments?"""
    of = program(f"long f(long a, long b) {{ long x;\n{body} }}\n")
    assert call(of, *good) == 1
    with pytest.raises(PolicyError, match="'x' has no value here"):
        call(of, *bad)


@pytest.mark.parametrize(
    "body",
    [
        "x = 1; return x;",
        "if (a) x = 1; else x = 2;\nreturn x;",
        "if (a) x = 1; else return 2;\nreturn x;",
        "if (a) { x = 1; goto out; }\nx = 2;\nout: return x;",
        "if (a) goto one;\nx = 2; goto out;\none: x = 1;\nout: return x;",
    ],
)
def test_a_variable_with_a_value_on_every_way_is_not_asked_for_it(body: str) -> None:
    """Since that takes time?"""
    of = program(f"long f(long a) {{ long x;\n{body} }}\n")
    assert UNSET not in of.compiled(traced=False).names.values()
    assert [call(of, each) for each in (1, 0)] in ([1, 2], [1, 1])
