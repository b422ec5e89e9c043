"""Is every file refused or understood, in bounded time, whatever is in it?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.csource.block import Point
from swaptrace.csource.cfile import from_file
from swaptrace.csource.functions import FUNCTIONS
from swaptrace.csource.kinds import CONSTANTS
from swaptrace.csource.policy import CPolicy
from swaptrace.errors import PolicyError
from swaptrace.exploration.decisions import questions
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import ask
from tests.commandline import run
from tests.csource.reading import read
from tests.effort import examples, part
from tests.work import at_most

TWINS = sorted((Path(__file__).parent / "twins").glob("*.c"))

_PIECE = re.compile(r"#[^\n]*\n|/\*.*?\*/|//[^\n]*|\w+|\s+|->|&&|\|\||[|&]=|[=!<>]=|.", re.DOTALL)

PIECES = [_PIECE.findall(path.read_text()) for path in TWINS]

WORDS = """
    vmf vma pte folio page swapcache exclusive rmap_flags ret address vmf->orig_pte
    0 1 63 -1 (int)1 (pte_t)1 *pte pte[0] sizeof(pte) 1.5 'a' &folio->page a.b ({1;})
    && || == != < > + - * / % << >> & | ^ = |= &= <<= , -> . ? : ; ( ) { } [ ]
    return goto map: out: while(1) for(;;) switch(1) break; int bool pte_t struct typedef
"""

NEW = [
    *sorted(FUNCTIONS),
    *sorted(CONSTANTS),
    *WORDS.split(),
    "lru_add_drain();",
    "int a[2];",
    "int q = {1};",
    "bool f(int);",
    'asm("");',
    "\n#if 1\n",
    "\n#endif\n",
    '"text"',
    "\x00",
    "é",
]

QUESTIONS = list(questions(1, Facts()))[::911]


def answer_all(policy: CPolicy) -> None:
    """Put a sample of all questions to the policy."""
    for each in QUESTIONS:
        ask(policy, each.method, each.kind, *each.arguments)
        policy.cite(cast("Point", each.method), *each.arguments)


def try_it(text: str) -> None:
    """Read the text; if it is a policy, ask it. Nothing but a `PolicyError` may come of it."""
    try:
        answer_all(read(text))
    except PolicyError as error:
        said = str(error)
    else:
        said = "it.c:1:1: understood"
    assert re.match(r"it\.c:\d+:\d+: \S", said), said


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A twin in which a few pieces are others."""
    pieces = list(draw(st.sampled_from(PIECES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(pieces) - 1))
        pieces[at : at + draw(st.integers(0, 2))] = [" ", draw(st.sampled_from(NEW)), " "]
    return "".join(pieces)


@settings(max_examples=examples(100))
@given(mutated())
def test_a_policy_with_mistakes(text: str) -> None:
    """Is it refused with a place, or else answers every question?"""
    try_it(text)


@settings(max_examples=examples(40))
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: b.decode("latin-1"))))
def test_noise(text: str) -> None:
    """Is anything at all refused with a place?"""
    try_it(text)


DEEP = 10_000

HUGE = {
    "parentheses": "exclusive = " + "(" * DEEP + "1" + ")" * DEEP + ";",
    "braces": "{" * DEEP + "}" * DEEP,
    "negations": "exclusive = " + "!" * DEEP + "1;",
    "minus signs": "exclusive = " + "- " * DEEP + "1;",
    "a long sum": "exclusive = " + "1 + " * (DEEP // 2) + "1;",
    "else if": "if (exclusive) ; " + "else if (exclusive) ; " * (DEEP // 8),
    "if if": "if (exclusive) " * (DEEP // 8) + ";",
    "conditions": "exclusive = " + "exclusive ? 1 : " * (DEEP // 8) + "0;",
    "labels": "".join(f"l{number}: " for number in range(DEEP // 8)) + ";",
    "casts": "exclusive = " + "(int)" * (DEEP // 8) + "1;",
    "pointers": "struct folio " + "*" * DEEP + "f;",
    "directives": "#if 1\n" * DEEP,
    "a condition": "#if " + "(" * DEEP + "1" + ")" * DEEP + "\n#endif\n",
    "not, not": "#if " + "!" * DEEP + "1\n#endif\nret = 0;\n",
    "many statements": "ret = 0;\n" * 1000,
    "a long number": "exclusive = " + "9" * DEEP + ";",
    "a long name": "x" * 100_000 + " = 1;",
    "blanks": " " * 200_000 + "x",
    "stars": "/" + "*" * 200_000 + "x",
    "comments": "/**/" * 40_000,
    "quotes": '"' * 10_001,
    "a large file": "ret = 0;\n" * 2_000_000,
    "zeroes": "\0" * 1_000_000,
}


@pytest.mark.parametrize("what", part(HUGE, 6, first=1))
def test_a_huge_file(what: str, tmp_path: Path) -> None:
    """Is it refused or read after so many calls, of which a second has millions, without a
    traceback?"""
    file = tmp_path / "it.c"
    file.write_text(HUGE[what])
    with at_most(1_500_000):
        done = run("policies", file)
    if what in ("many statements", "not, not"):
        assert done.exit_code == 0, done.output
    else:
        assert done.exit_code == 2
        assert re.match(rf"Error: {re.escape(str(file))}:\d+:\d+: ", done.output)
        assert max(map(len, done.output.splitlines())) < 500


def hostile() -> Sequence[str]:
    """C that would be dangerous if names were looked up in Python."""
    return (
        "__import__(0);",
        "exclusive = __class__;",
        "exclusive = vma->__class__;",
        "pte = pte->_replace;",
        "open(vma);",
        "vmf->values = 0;",
        "exclusive = eval(page);",
        "run(vmf);",
    )


@pytest.mark.parametrize("text", hostile())
def test_names_are_never_those_of_python(text: str) -> None:
    """Is a name that the tables do not have refused, whatever it is to the interpreter?"""
    with pytest.raises(PolicyError, match=r"the model has no|has no fields|only vmf->flags"):
        read(text)


def test_parameters_without_types_are_told(tmp_path: Path) -> None:
    """Is a definition as before C89 an error with its place, and no fault of the program?"""
    path = tmp_path / "old.c"
    path.write_text("static bool wp_can_reuse_anon_folio(folio)\n{\n\treturn true;\n}\n")
    with pytest.raises(PolicyError, match=r"old\.c:1:37: a parameter without a type"):
        from_file(str(path))
