"""One decision of a policy: its C, read and ready to answer questions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.block import CBlock, Point
from swaptrace.csource.frame import (
    Cited,
    Citing,
    Evaluation,
    free_swap_frame,
    reuse_frame,
    swapin_frame,
)
from swaptrace.csource.kinds import (
    EXCLUSIVE,
    OTHER_FAULT_FLAGS,
    OTHER_VM_FLAGS,
    WRITE,
    ValueKind,
)
from swaptrace.csource.masks import sees_known_flags_alone
from swaptrace.csource.parse import (
    ParsedBlock,
    is_definition,
    parse_definition,
    parse_statements,
    plain,
)
from swaptrace.csource.preprocess import defined_with
from swaptrace.csource.scope import WIDTHS, KnownVariables, Scopes, Variable
from swaptrace.csource.source import CSource, source_of
from swaptrace.csource.statements import OUTCOMES, REUSED, Leave, Statements, Step
from swaptrace.errors import quote
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, SwapinPte

ENOUGH: Final = 32
"""Bits of an integer that has room for all flags that a function could return."""

HELD: Final = frozenset({"extra_refs", "nr_pages"})
"""Parameters of should_try_to_free_swap() that are 1 for one page that the fault holds once."""

ONE_BIT: Final = (1, False)

SWAPIN_VARIABLES: Final[Mapping[str, Variable]] = {
    "pte": Variable("pte", ValueKind.PTE),
    "exclusive": Variable("exclusive", None, ONE_BIT),
    "rmap_flags": Variable("rmap_flags", ValueKind.RMAP),
    "ret": Variable("ret", ValueKind.RESULT),
    "nr_pages": Variable("nr_pages", None, (32, True)),
    "page_idx": Variable("page_idx", None, (64, False)),
    "vmf": Variable("vmf", ValueKind.VMF),
    "vma": Variable("vma", ValueKind.VMA),
    "folio": Variable("folio", ValueKind.FOLIO),
    "page": Variable("page", ValueKind.PAGE),
    "swapcache": Variable("swapcache", ValueKind.FOLIO),
    "address": Variable("address", ValueKind.OPAQUE),
    "entry": Variable("entry", ValueKind.OPAQUE),
    "ptep": Variable("ptep", ValueKind.OPAQUE),
}
"""Of do_swap_page()."""

REUSE_VARIABLES: Final[Mapping[str, Variable]] = {
    "vmf": Variable("vmf", ValueKind.VMF),
    "vma": Variable("vma", ValueKind.VMA),
    "folio": Variable("folio", ValueKind.FOLIO),
    "page": Variable("page", ValueKind.PAGE),
    "old_page": Variable("old_page", ValueKind.PAGE),
    "unshare": Variable("unshare", None, ONE_BIT),
}
"""Of do_wp_page(), before 6.7."""

REUSE_VALUES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("vmf", "vma", "folio", "page", "old_page"), 1),
    "unshare": 0,
    "vmf->flags": WRITE,
}


class Decision(NamedTuple):
    """`frame_of` turns the arguments of the policy's method into a frame, `step` runs on it, and
    `answer` takes the result from both. `doubts` are calls that are passed over although they could
    change it, `lines` all that can be executed, `flags` the variables that hold flags of the fault;
    `sees_known_alone` says that it asks for no others than the model has.
    """

    source: CSource
    frame_of: Callable[..., Evaluation]
    step: Step
    answer: Callable[[Evaluation, Leave | None], Any]
    doubts: tuple[str, ...]
    lines: tuple[Cited, ...]
    flags: tuple[str, ...] = ("vmf->flags",)
    sees_known_alone: bool = False

    def decide(self, *arguments: Any, trace: Citing | None = None) -> Any:
        """The answer to one question. Raises `PolicyError` where it is another one with flags of
        the VMA and of the fault that the model has not, and a kernel may have set."""
        frame = self.frame_of(*arguments)
        frame.trace = trace
        found = self.answer(frame, self.step(frame))
        if self.sees_known_alone:
            return found
        other = self.frame_of(*arguments)
        other.trace, other.others = trace, OTHER_VM_FLAGS
        for name in self.flags:
            other.values[name] |= OTHER_FAULT_FLAGS
        if self.answer(other, self.step(other)) != found:
            wrong = "the answer depends on flags of vm_flags or vmf->flags that the model has not"
            raise self.source.error(self.source.start, wrong)
        return found

    def cite(self, *arguments: Any) -> list[Cited]:
        """What is executed to answer it."""
        frame = self.frame_of(*arguments)
        frame.trace = found = list[Cited]()
        self.step(frame)
        return found


def decision_of(point: Point, block: CBlock, defines: Collection[str]) -> Decision:
    """Read a block. Raises `PolicyError` where it is not understood."""
    source = source_of(block)
    defined = defined_with(defines)
    try:
        text = plain(source, defined)
        if point != "swapin_pte" and is_definition(text):
            parsed = parse_definition(source, text)
            found = _definition(point, parsed, defined)
        elif point == "should_free_swap":
            raise source.error(source.start, "expected the definition of a function")
        else:
            parsed = parse_statements(source, text)
            found = (_swapin if point == "swapin_pte" else _reuse)(parsed, defined)
        alone = sees_known_flags_alone((parsed.declaration, parsed.body), found.flags)
        return found._replace(sees_known_alone=alone)
    except RecursionError:
        raise source.error(source.start, "nested too deeply") from None


def _reader(
    parsed: ParsedBlock,
    point: Point,
    variables: Mapping[str, Variable],
    kinds: Mapping[str, ValueKind],
    defined: Collection[str],
) -> Statements:
    """What reads the body, told of the variables and of what they and the fields begin as."""
    known = KnownVariables(
        {name: each.kind or ValueKind.INT for name, each in variables.items()} | dict(kinds)
    )
    return Statements(parsed.source, point, Scopes(variables), known, defined)


def _swapin(parsed: ParsedBlock, defined: Collection[str]) -> Decision:
    fields = {"vmf->flags": ValueKind.FAULT_FLAGS, "vmf->orig_pte": ValueKind.SWAP}
    reader = _reader(parsed, "swapin_pte", SWAPIN_VARIABLES, fields, defined)
    step = reader.read(parsed.body, {}, returns=False)
    doubts, lines = tuple(reader.doubts), tuple(reader.lines)
    return Decision(parsed.source, swapin_frame, step, _swapin_answer, doubts, lines)


def _swapin_answer(frame: Evaluation, _leave: Leave | None) -> SwapinPte:
    values = frame.values
    pte = frame.published if frame.published is not None else values["pte"]
    mapped = frame.mapped
    exclusive = bool(values["rmap_flags"] & EXCLUSIVE) if mapped is None else mapped
    return SwapinPte(pte, frame.write and not values["vmf->flags"] & WRITE, exclusive)


def _reuse(parsed: ParsedBlock, defined: Collection[str]) -> Decision:
    """The statements of do_wp_page(): what comes to their end is reused."""
    fields = {"vmf->flags": ValueKind.FAULT_FLAGS}
    reader = _reader(parsed, "can_reuse_anon", REUSE_VARIABLES, fields, defined)
    step = reader.read(parsed.body, OUTCOMES, returns=False)
    source = parsed.source

    def answer(frame: Evaluation, leave: Leave | None) -> bool:
        return _truth(source, frame, REUSED if leave is None else leave)

    doubts, lines = tuple(reader.doubts), tuple(reader.lines)
    return Decision(
        source, lambda folio: reuse_frame(dict(REUSE_VALUES), folio), step, answer, doubts, lines
    )


def _definition(point: Point, parsed: ParsedBlock, defined: Collection[str]) -> Decision:
    """A function: its parameters are known by their types."""
    declared = parsed.declaration
    assert declared is not None
    variables = _parameters(point, parsed, defined)
    fields = {"vmf->flags": ValueKind.FAULT_FLAGS}
    reader = _reader(parsed, point, variables, fields, defined)
    if not _gives_integer(declared.type.type):
        raise reader.error(declared, "the function must return bool")
    step = reader.read(parsed.body, {}, returns=True)
    if reader.known.reached:
        raise reader.error(declared, f"{declared.name}() can come to its end without a return")
    answer = partial(_truth, parsed.source)
    flags = [name for name in _flags(variables) if variables[name].width != ONE_BIT]
    return Decision(
        parsed.source,
        _frames(point, variables),
        step,
        answer,
        tuple(reader.doubts),
        tuple(reader.lines),
        ("vmf->flags", *flags),
    )


def _gives_integer(result: Any) -> bool:
    names = getattr(getattr(result, "type", None), "names", ())
    bits, _ = WIDTHS.get(" ".join(names), (0, False))
    return bits == 1 or bits >= ENOUGH


def _parameters(point: Point, parsed: ParsedBlock, defined: Collection[str]) -> dict[str, Variable]:
    """The parameters of a definition.

    Of the integers of should_try_to_free_swap() the last is the fault's flags; one before it is
    the number of references that the caller holds, or of pages, which is 1 as well.
    """
    reader = _reader(parsed, point, {}, {}, defined)
    declared: Any = parsed.declaration
    parameters = declared.type.args.params if declared.type.args is not None else []
    variables: dict[str, Variable] = {}
    for each in parameters:
        if getattr(each, "name", None) is None:
            raise reader.error(each, "a parameter without a name is not understood")
        if not isinstance(each, c_ast.Decl):  # a list of names alone, as before C89
            raise reader.error(each, "a parameter without a type is not understood")
        variables[each.name] = _parameter(reader, each)
    integers = [name for name, each in variables.items() if each.width is not None]
    if len(integers) > (2 if point == "should_free_swap" else 0):
        raise reader.error(declared, "more integers than the model can tell this function")
    for name in integers[:-1]:
        if name not in HELD:
            wanted = " or ".join(sorted(HELD))
            raise reader.error(
                declared, f"what the caller passes as {quote(name)} is not known; only {wanted} is"
            )
    if integers:
        width = variables[integers[-1]].width
        variables[integers[-1]] = Variable(integers[-1], ValueKind.FAULT_FLAGS, width)
    return variables


def _parameter(reader: Statements, node: Any) -> Variable:
    if _struct(node) == "swap_info_struct":
        return Variable(node.name, ValueKind.OPAQUE)
    kind, width = reader.type_of(node)
    if kind is None and width is None:
        raise reader.error(node, "the model has no PTE for this function")
    return Variable(node.name, kind, width)


def _struct(node: Any) -> str | None:
    """The struct that a parameter points to."""
    named = getattr(node.type, "type", None) if isinstance(node.type, c_ast.PtrDecl) else None
    base = getattr(named, "type", None)
    return base.name if isinstance(base, c_ast.Struct) else None


def _flags(variables: Mapping[str, Variable]) -> list[str]:
    """The parameters that are flags of the fault."""
    return [name for name, each in variables.items() if each.kind is ValueKind.FAULT_FLAGS]


def _frames(point: Point, variables: Mapping[str, Variable]) -> Callable[..., Evaluation]:
    """Makes the frame of a question from the arguments of the policy's method."""
    # Pointers have one value, and the caller holds one reference.
    ones = dict.fromkeys(variables, 1)
    flags = _flags(variables)

    def free_swap(folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> Evaluation:
        given = WRITE if write else 0
        values = ones | dict.fromkeys(flags, given) | {"vmf->flags": given}
        return free_swap_frame(values, folio, vma, swap_full)

    def reuse(folio: FolioRefs) -> Evaluation:
        return reuse_frame(ones | {"vmf->flags": WRITE}, folio)

    return free_swap if point == "should_free_swap" else reuse


def _truth(source: CSource, frame: Evaluation, leave: Leave | None) -> bool:
    """Yes or no. Raises `PolicyError` where the model cannot do what the C did besides."""
    assert leave is not None, "no path comes to the end without a return"
    if leave.answer is None:
        raise source.error(source.start, "the statements return before they decide")
    if frame.freed and not leave.answer:
        raise source.error(source.start, "frees the swap cache of a page that is not reused")
    return leave.answer
