"""What frozen dataclasses have in common, made once.

`dataclass` compiles these methods for each class anew. With all that a scenario is made of, that
was a tenth of the time that a command takes for a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar


class FrozenValue:
    """The base of a class that is `@dataclass(frozen=True, slots=True, eq=False, repr=False)`:
    equal, and of one hash, if all that it is compared by is, as without `eq=False`."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __repr__(self) -> str:
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _compared(value: object) -> object:
    """What a value is compared by."""
    cls: Any = type(value)
    return _getter(cls)(value)


@cache
def _getter(cls: Any) -> Callable[[object], object]:
    """The function that gives it for all values of a class."""
    return attrgetter(*(f.name for f in fields(cls) if f.compare))
