"""Is that named of two functions in which they differ, and which was not executed?"""

from __future__ import annotations

import re
from typing import Any

import pytest

from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.program import FaultProgram
from swaptrace.ktree.faults.source import Sources
from swaptrace.ktree.faults.values import VMF
from swaptrace.ktree.faults.watching import watch
from tests.ktree.making import MEMORY
from tests.ktree.test_compiled import call

HEAD = "static int f(int a, int b)\n{\n"


def program(name: str, text: str) -> FaultProgram:
    """One function f(), or others that it calls before it, of a file that is called so."""
    dialect = FAULTS._replace(roots=("f",), needed=frozenset({"f"}))
    whole = text if text.startswith("static") else f"{HEAD}{text}\n}}\n"
    found = FaultProgram(Sources(None, {MEMORY: whole}, {MEMORY: name}, ()), (), dialect)
    found.read()
    return found


def missing(old: str, new: str, calls: list[tuple[Any, int]]) -> list[str]:
    """What is said once both have been called so."""
    both = program("old", old), program("new", new)
    over = watch(*both)
    for arguments in calls:
        for each in both:
            call(each, *arguments)
    head = "changed code that nothing which was explored reaches: "
    return [
        each
        for said in over()
        if said.startswith(head)
        for each in re.split(r", (?=old|new)", said.removeprefix(head))
    ]


NOT = "not executed"
MATTERS = "not executed where what differs would matter"

FIELD = (
    "static int f(struct vm_fault *vmf, int b)\n{{\nvmf->page = {};\nif (b)\n"
    "return vmf->page == 0;\nreturn 0;\n}}\n"
)

CALLED = (
    "static int g(int a)\n{{\nreturn a;\n}}\n"
    "static int f(int a, int b)\n{{\nif (a)\ng({});\nreturn b;\n}}\n"
)

RETURNING = (
    "static {} g(int a)\n{{\nreturn a;\n}}\n"
    "static int f(int a, int b)\n{{\nif (a)\nreturn g(b);\nreturn 0;\n}}\n"
)

OF_FIELD = (
    "static int f(struct vm_fault *vmf, int b)\n{{\nif (b)\nreturn vmf->{} == 0;\nreturn 0;\n}}\n"
)

CALLING = (
    "static int g(int a)\n{{\nreturn a;\n}}\nstatic int h(int a)\n{{\nreturn a + 1;\n}}\n"
    "static int f(int a, int b)\n{{\nif (g(b) + h(b) > 3)\nreturn 1;\nif (a)\nreturn {}(b);\n"
    "return 0;\n}}\n"
)

CASES: dict[str, tuple[str, str, list[tuple[Any, int]], list[str]]] = {
    "the same": ("return a;", "return a;", [(0, 0)], []),
    "a statement that goes": (
        "if (a) {\nb += 1;\nb += 2;\n}\nreturn b;", "if (a) {\nb += 1;\n}\nreturn b;",
        [(0, 0)], [f"new:4: f(): {NOT}", f"old:4: f(): {MATTERS}", f"old:5: f(): {NOT}"],
    ),
    "the first that goes": (
        "if (a) {\nb += 1;\nb += 2;\n}\nreturn b;", "if (a) {\nb += 2;\n}\nreturn b;",
        [(0, 0)], [f"new:4: f(): {NOT}", f"old:4: f(): {NOT}", f"old:5: f(): {MATTERS}"],
    ),
    "the only one that goes": (
        "if (a) {\nb += 1;\n}\nreturn b;", "if (a) {\n}\nreturn b;",
        [(0, 0)], [f"old:4: f(): {NOT}"],
    ),
    "a branch that goes": (
        "if (a)\nb += 1;\nelse\nb += 3;\nreturn b;", "if (a)\nb += 1;\nreturn b;",
        [(1, 0)], [f"old:6: f(): {NOT}"],
    ),
    "one that goes and is executed": (
        "b += 0;\nb += 2;\nreturn b;", "b += 2;\nreturn b;", [(1, 0)], [],
    ),
    "another condition": (
        "if (a > 1)\nb += 1;\nreturn b;", "if (a > 2)\nb += 1;\nreturn b;",
        [(3, 0)], ["old:3: f(): a > 1 never false", "new:3: f(): a > 2 never false"],
    ),
    "another condition both ways": (
        "if (a > 1)\nb += 1;\nreturn b;", "if (a > 2)\nb += 1;\nreturn b;", [(3, 0), (0, 0)], [],
    ),
    "another condition beside one that goes": (
        "return a && b > 1 && b < 9;", "return b > 2 && b < 9;", [(1, 5)],
        ["old:3: f(): a never false", "old:3: f(): b > 1 never false",
         "new:3: f(): b > 2 never false"],
    ),
    "one of the conditions": (
        "return a && b < 9;", "return a && b < 8;", [(1, 5), (1, 10)], [],
    ),
    "conditions that are joined otherwise": (
        "return a && b;", "return a || b;", [(1, 1)],
        ["old:3: f(): a never false", "old:3: f(): b never false",
         "new:3: f(): a never false", f"new:3: f(): {NOT}"],
    ),
    "a difference that is taken otherwise": (
        "if (a)\nreturn a - (b - 1);\nreturn 0;", "if (a)\nreturn (a - b) - 1;\nreturn 0;",
        [(0, 1)], [f"old:4: f(): {NOT}", f"new:4: f(): {NOT}"],
    ),
    "conditions in another order": (
        "return (a && b) && a > b;", "return b && (a && a > b);", [(1, 1)],
        ["new:3: f(): b never false",
         "old:3: f(): b never false"],
    ),
    "the branch of another condition": (
        "if (a > 1)\nb += 1;\nreturn b;", "if (a > 2)\nb += 1;\nreturn b;", [(0, 0)],
        ["old:3: f(): a > 1 never true", "new:3: f(): a > 2 never true"],
    ),
    "a label behind which nothing is executed": (
        "if (a)\ngoto out;\nreturn 0;\nout:\nb += 1;\nreturn b;",
        "if (a)\ngoto out;\nreturn 0;\nout:\nreturn b;", [(0, 0)],
        [f"new:4: f(): {MATTERS}", f"new:7: f(): {NOT}",
         f"old:4, 8: f(): {MATTERS}", f"old:7: f(): {NOT}"],
    ),
    "a label that moves": (
        "if (a)\ngoto out;\nb += 1;\nout:\nb += 2;\nreturn b;",
        "if (a)\ngoto out;\nout:\nb += 1;\nb += 2;\nreturn b;", [(0, 0)],
        [f"old:4: f(): {MATTERS}",
         f"new:4: f(): {MATTERS}",],
    ),
    "a label that moves and is gone to": (
        "if (a)\ngoto out;\nb += 0;\nout:\nb += 2;\nreturn b;",
        "if (a)\ngoto out;\nout:\nb += 0;\nb += 2;\nreturn b;", [(0, 0), (1, 0)], [],
    ),
    "what a goto does not lead to": (
        "b += 1;\nif (a)\ngoto out;\nb += 2;\nout:\nreturn b;",
        "b += 2;\nif (a)\ngoto out;\nb += 2;\nout:\nreturn b;", [(0, 0)], [],
    ),
    "another goto": (
        "if (a)\ngoto one;\nb += 1;\none:\nb += 2;\ntwo:\nreturn b;",
        "if (a)\ngoto two;\nb += 1;\none:\nb += 2;\ntwo:\nreturn b;", [(0, 0)],
        [f"old:4: f(): {NOT}", f"new:4: f(): {NOT}"],
    ),
    "a variable of another type": (
        "int x = a;\nif (b)\nx += 1;\nreturn x;", "long x = a;\nif (b)\nx += 1;\nreturn x;",
        [(1, 0)], [f"old:5: f(): {NOT}", f"new:5: f(): {NOT}"],
    ),
    "one that only a skipped call is handed": (
        "int x = a;\nif (b)\nfolio_unlock(x);\nreturn a;",
        "long x = a;\nif (b)\nfolio_unlock(x);\nreturn a;", [(1, 0)], [],
    ),
    "another result type": (
        "static int f(int a, int b)\n{\nif (a)\nreturn b;\nreturn 0;\n}\n",
        "static long f(int a, int b)\n{\nif (a)\nreturn b;\nreturn 0;\n}\n", [(0, 0)],
        [f"old:4: f(): {NOT}", f"new:4: f(): {NOT}"],
    ),
    "another result type of what is not called": (
        RETURNING.format("int"), RETURNING.format("bool"), [(0, 0)],
        [f"old:3: g(): {NOT}", f"old:8: f(): {NOT}", f"new:3: g(): {NOT}", f"new:8: f(): {NOT}"],
    ),
    "another result type of what is called": (
        RETURNING.format("int"), RETURNING.format("bool"), [(1, 0)], [],
    ),
    "two branches, one after the other": (
        "if (a)\nb += 1;\nif (b > 9)\nb += 2;\nreturn b;",
        "if (a)\nb += 3;\nif (b > 9)\nb += 4;\nreturn b;", [(1, 0)],
        [f"old:6: f(): {NOT}", f"new:6: f(): {NOT}"],
    ),
    "what is in a block of its own": (
        "{\nif (a)\nb += 1;\n}\nreturn b;", "{\nif (a)\nb += 2;\n}\nreturn b;", [(0, 0)],
        [f"old:5: f(): {NOT}", f"new:5: f(): {NOT}"],
    ),
    "two statements of other kinds behind one that is changed": (
        "b += 0;\nb += 1;\nif (a > 1)\nb = 5;\nreturn b;",
        "b += 0;\nb += 2;\nwhile (a > 9)\na = 5;\nreturn b;", [(3, 0)],
        ["old:5: f(): a > 1 never false", "new:5: f(): a > 9 never true", f"new:6: f(): {NOT}"],
    ),
    "a loop": (
        "while (a > b)\nb += 1;\nreturn b;", "while (a > b + 1)\nb += 1;\nreturn b;", [(0, 1)],
        ["old:3: f(): a > b never true", "new:3: f(): a > (b + 1) never true"],
    ),
    "what is in a loop": (
        "while (a > b) {\nb += 2;\nb -= 1;\n}\nreturn b;",
        "while (a > b) {\nb += 3;\nb -= 1;\n}\nreturn b;", [(0, 1)],
        [f"new:4: f(): {NOT}", f"new:5: f(): {MATTERS}",
         f"old:4: f(): {NOT}", f"old:5: f(): {MATTERS}"],
    ),
    "what is behind do": (
        "do {\nb += 1;\nif (a)\nb += 2;\n} while (b < 3);\nreturn b;",
        "do {\nb += 1;\nif (a)\nb += 3;\n} while (b < 3);\nreturn b;", [(0, 0)],
        [f"old:6: f(): {NOT}", f"new:6: f(): {NOT}"],
    ),
    "one that goes from a loop": (
        "while (a > b) {\nb += 1;\nb += 0;\nif (a > 9)\nreturn 2;\n}\nreturn b;",
        "while (a > b) {\nb += 1;\nif (a > 9)\nreturn 2;\n}\nreturn b;", [(2, 0)], [],
    ),
    "one that goes from do": (
        "do {\nb += 1;\nb += 0;\nif (a > 9)\nreturn 2;\n} while (a > b);\nreturn b;",
        "do {\nb += 1;\nif (a > 9)\nreturn 2;\n} while (a > b);\nreturn b;", [(2, 0)], [],
    ),
    "a block that comes and is executed": (
        "return b;", "if (a) {\nb += 0;\n}\nreturn b;", [(1, 0), (0, 0)], [],
    ),
    "a field": (
        FIELD.format(0), FIELD.format(1), [(VMF, 0)],
        [f"old:5: f(): {MATTERS}", f"new:5: f(): {MATTERS}"],
    ),
    "one of two values": (
        "return a ? b : 2;", "return a ? b : 3;", [(1, 0)],
        [f"old:3: f(): {NOT}", f"new:3: f(): {NOT}"],
    ),
    "a value in a condition that always holds": (
        "if (a ? b : 2)\nreturn 1;\nreturn 0;", "if (a ? b + 0 : 2)\nreturn 1;\nreturn 0;",
        [(1, 1)],
        ["old:3: f(): (a) ? (b) : (2) never false", "old:3: f(): b never false",
         "new:3: f(): (a) ? (b + 0) : (2) never false", "new:3: f(): b + 0 never false"],
    ),
    "a value that always holds in a condition": (
        "if (a ? b > 1 : 0)\nreturn 1;\nreturn 0;", "if (a ? b > 2 : 0)\nreturn 1;\nreturn 0;",
        [(1, 3), (0, 3)], ["old:3: f(): b > 1 never false", "new:3: f(): b > 2 never false"],
    ),
    "a value in a value that always holds in a condition": (
        "if (a ? (b ? a : 1) : 0)\nreturn 1;\nreturn 0;",
        "if (a ? (b ? a + 0 : 1) : 0)\nreturn 1;\nreturn 0;",
        [(1, 1), (0, 1)],
        ["old:3: f(): a never false", "old:3: f(): (b) ? (a) : (1) never false",
         "new:3: f(): a + 0 never false", "new:3: f(): (b) ? (a + 0) : (1) never false"],
    ),
    "a value that is compared in a condition": (
        "if ((a ? b : 2) == 1)\nreturn 1;\nreturn 0;",
        "if ((a ? b + 0 : 2) == 1)\nreturn 1;\nreturn 0;",
        [(1, 1)],
        ["old:3: f(): ((a) ? (b) : (2)) == 1 never false",
         "new:3: f(): ((a) ? (b + 0) : (2)) == 1 never false"],
    ),
    "a constant in a condition that comes out both ways": (
        "if (a ? 1 : 0)\nreturn 1;\nreturn 0;", "if (a ? 2 : 0)\nreturn 1;\nreturn 0;",
        [(1, 1), (0, 1)], [],
    ),
    "what a constant rules out": (
        "if (0)\nreturn 1;\nreturn a;", "if (0)\nreturn 2;\nreturn a;", [(1, 1)],
        ["old:4: f(): ruled out by a constant", "new:4: f(): ruled out by a constant"],
    ),
    "what a constant rules out in a block": (
        "if (0) {\nout:\nb += 1;\nb += 2;\n}\nreturn a;",
        "if (0) {\nout:\nb += 2;\nb += 3;\n}\nreturn a;",
        [(1, 1)],
        ["old:5, 6: f(): ruled out by a constant", "new:5, 6: f(): ruled out by a constant"],
    ),
    "what a constant rules out in a loop": (
        "if (0)\nwhile (a)\nb += 1;\nif (0)\ndo\nb += 1;\nwhile (a);\nreturn a;",
        "if (0)\nwhile (a)\nb += 2;\nif (0)\ndo\nb += 2;\nwhile (a);\nreturn a;", [(1, 1)],
        ["old:5, 8: f(): ruled out by a constant", "new:5, 8: f(): ruled out by a constant"],
    ),
    "what a constant rules out at a label": (
        "if (0)\nout:\nb += 1;\nreturn a;", "if (0)\nout:\nb += 2;\nreturn a;", [(1, 1)],
        ["old:5: f(): ruled out by a constant", "new:5: f(): ruled out by a constant"],
    ),
    "what is passed over beside what is executed": (
        "if (a)\nfolio_unlock(b);\nreturn a;", "if (a)\nfolio_unlock(a);\nreturn a;", [(0, 1)], [],
    ),
    "a value that comes of a condition": (
        "return (a ? b : 2) + (b ? a : 1);", "return (a ? b : 2) + (b ? a : 3);", [(1, 1)],
        [f"old:3: f(): {NOT}", f"new:3: f(): {NOT}"],
    ),
    "a condition of which one is a value": (
        "return (a > 1 ? b : 2);", "return (a > 2 ? b : 2);", [(3, 1)],
        ["old:3: f(): a > 1 never false", "new:3: f(): a > 2 never false"],
    ),
    "a statement beside a value of a condition that does not differ": (
        "b += a ? 1 : 2;\nif (b > 9)\nb += a ? 3 : 4;\nreturn b;",
        "b += a ? 1 : 2;\nif (b > 9)\nb += a ? 5 : 4;\nreturn b;", [(1, 1)],
        [f"old:5: f(): {NOT}", f"new:5: f(): {NOT}"],
    ),
    "a call that a constant rules out": (
        "if (0)\nh(1);\nreturn a;", "if (0)\nh(2);\nreturn a;", [(1, 1)],
        ["old:4: f(): ruled out by a constant", "new:4: f(): ruled out by a constant"],
    ),
    "a call that is not executed": (
        CALLED.format(1), CALLED.format(2), [(0, 0)],
        [f"old:8: f(): {NOT}", f"new:8: f(): {NOT}"],
    ),
    "what goes before a label": (
        "if (a)\nreturn 1;\nb += 1;\nout:\nreturn b;", "if (a)\nreturn 1;\nout:\nreturn b;",
        [(1, 0)],
        [f"new:6: f(): {NOT}", f"old:5: f(): {NOT}", f"old:7: f(): {MATTERS}"],
    ),
    "what need not be executed": (
        "int x = 1;\nif (b && 0)\nreturn x;\nif (x && 0)\nreturn 5;\nreturn a;",
        "int x = 2;\nif (b && 0)\nreturn x;\nif (x && 0)\nreturn 5;\nreturn a;", [(1, 1)], [],
    ),
    "a name of another": (
        "int x = a;\nint y = b;\nif (a)\nreturn x;\nreturn y;",
        "int z = a;\nint y = b;\nif (a)\nreturn z;\nreturn y;", [(0, 0)], [],
    ),
    "two names of which one is left": (
        "int x = a;\nint y = b;\nif (a)\nreturn x - y;\nreturn 0;",
        "int z = a;\nz = b;\nif (a)\nreturn z - z;\nreturn 0;", [(0, 1)],
        [f"old:6: f(): {NOT}", f"new:6: f(): {NOT}"],
    ),
    "another field": (
        OF_FIELD.format("page"), OF_FIELD.format("pte"), [(VMF, 0)],
        [f"old:4: f(): {NOT}", f"new:4: f(): {NOT}"],
    ),
    "another function": (
        CALLING.format("g"), CALLING.format("h"), [(0, 0)],
        [f"old:14: f(): {NOT}", f"new:14: f(): {NOT}"],
    ),
    "names that change places": (
        "int x = a;\nint y = b;\nif (a)\nreturn x;\nreturn y;",
        "int y = a;\nint x = b;\nif (a)\nreturn x;\nreturn y;", [(0, 0)],
        [f"new:6: f(): {MATTERS}",
         f"old:6: f(): {MATTERS}"],
    ),
    "a helper of which one has more": (
        "static int g(int a)\n{\nif (a)\nreturn 1;\nreturn 0;\n}\n" + HEAD + "return g(a);\n}\n",
        HEAD + "return a;\n}\n", [(0, 0)],
        [f"old:4: g(): {NOT}", "old:3: g(): a never true"],
    ),
    "a helper that comes": (
        HEAD + "return a;\n}\n",
        "static int g(int a)\n{\nif (a)\nreturn 1;\nreturn 0;\n}\n" + HEAD + "return g(a);\n}\n",
        [(0, 0)], [f"new:4: g(): {NOT}", "new:3: g(): a never true"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_what_differs_and_is_not_executed_is_named(what: str) -> None:
    """And nothing else, with its side and line?"""
    old, new, calls, said = CASES[what]
    assert sorted(missing(old, new, calls)) == sorted(said)
