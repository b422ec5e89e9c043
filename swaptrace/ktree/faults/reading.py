"""What a reader of C asks of the program that its function belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.dialect import Dialect
from swaptrace.ktree.faults.primitive import Primitive


class Callee(Protocol):
    """A function that can be called, and what its callers call it."""

    label: str

    @property
    def parameters(self) -> Sequence[Any]:
        """One for each argument."""

    @property
    def width(self) -> tuple[int, bool] | None:
        """Bits and sign of what it returns; None if that is no integer."""


class Reading(Protocol):
    """The functions that are interpreted, and what was assumed to read them."""

    @property
    def dialect(self) -> Dialect:
        """The names, fields and functions that the model has."""

    @property
    def defined(self) -> Collection[str]:
        """The configuration's names."""

    @property
    def known(self) -> Mapping[str, tuple[Primitive, ...]]:
        """The model's functions."""

    doubts: list[str]

    def bind(self, value: Any) -> str:
        """The name that what is read has for something that is no C."""

    def note_error(self, error: PolicyError) -> None:
        """Remember what is wrong, to tell it with the rest."""

    def note_unseen(self, function: str, node: Any, text: str | None = None) -> None:
        """Remember what is not read, since a constant rules it out, or has no effect; or `text`
        that is a part of it."""

    def note_probe(self, node: Any, is_condition: bool) -> int:
        """Remember what can be asked about, whether it is executed; the number of its probe."""

    def forget(self, node: Any) -> None:
        """Nothing within the node is executed, although it was read."""

    def note_passed(self, name: str) -> int:
        """Remember a call that is passed over, and can be asked about; the number of its probe."""

    def note_statement(self, node: Any) -> None:
        """Remember a statement that is read."""

    def note_primitive(self, name: str, primitive: Primitive) -> None:
        """Remember a function that the model has."""

    def function(self, name: str, error: Callable[[str], PolicyError]) -> Callee:
        """A function of the tree that C calls; `error` makes the one of that call, which is
        raised."""
