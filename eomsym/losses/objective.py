"""What every loss and every field has in common: a program, parameters in named blocks, values by NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError, ShapeError, SizeError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.gradient import gradient
from eomsym.losses.grouping import group
from eomsym.losses.program import Number, Program, exact
from eomsym.losses.values import evaluate

__all__ = ["Block", "Objective", "blocks_of"]

#: A vector of more parameters would take more than a gigabyte, and a kernel many of them.
MOST_PARAMETERS = 10**8


@dataclass(frozen=True)
class Block:
    """Where a named array of parameters lies in the flat vector."""

    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def place(self) -> slice:
        return slice(self.start, self.start + self.size)


def blocks_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Block]:
    """Blocks one behind the other."""
    blocks: dict[str, Block] = {}
    start = 0
    for name, shape in shapes.items():
        blocks[name] = Block(start, shape)
        start += blocks[name].size
    return blocks


class Objective:
    """A loss L, or a velocity field F = -g, of a flat vector of n parameters. It never changes.

    Subclasses give the program of the bare loss (or field). This class adds weight decay and the gradient:
    ``g = grad L + weight_decay * theta``. Each attribute is set once. What is computed from them is kept with the
    object, what is compiled in `eomsym.codegen`.
    """

    #: False where counter terms do not exist because of kinks.
    smooth: bool = True
    #: What has no derivative somewhere.
    kinks: tuple[str, ...] = ()

    def __init__(self, name: str, blocks: Mapping[str, Block]) -> None:
        self.name = checks.text(name, "name", "my loss")
        self.blocks: Mapping[str, Block] = MappingProxyType(dict(blocks))
        self.size = sum(block.size for block in blocks.values())
        if self.size > MOST_PARAMETERS:
            raise SizeError(f"{name} has {self.size} parameters; expected at most {MOST_PARAMETERS}")
        self.weight_decay: Number = 0

    # immutable ----------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise FrozenInstanceError(
                f"{name} of {self.name} cannot change; make another loss, such as loss.with_weight_decay(0.1)"
            )
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"{name} of {self.name} cannot be deleted")

    def _with(self, **attributes: Any) -> Self:
        """A copy with some attributes changed, and without what was computed from them."""
        other = object.__new__(type(self))
        other.__dict__.update(self._facts() | attributes)
        return other

    def _facts(self) -> dict[str, Any]:
        """Attributes that were set, without those that were computed."""
        return {
            name: value
            for name, value in self.__dict__.items()
            if not isinstance(getattr(type(self), name, None), cached_property)
        }

    def __getstate__(self) -> dict[str, Any]:
        return self._facts() | {"blocks": dict(self.blocks)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"blocks": MappingProxyType(state["blocks"])})

    @cached_property
    def _content(self) -> tuple[Any, ...] | None:
        """What makes two objects of one class equal; None where only an object itself is."""
        return None

    def __eq__(self, other: object) -> bool:
        if self is other or type(self) is not type(other):
            return self is other
        assert isinstance(other, Objective)
        return self._content is not None and self._content == other._content

    @cached_property
    def _hash(self) -> int:
        """The same for equal objects."""
        return object.__hash__(self) if self._content is None else hash(self._content)

    def __hash__(self) -> int:
        return self._hash

    # what subclasses provide --------------------------------------------------------------------------------------

    def _bare_program(self) -> Program:
        """The program of L (one output), without weight decay."""
        raise NotImplementedError

    # readings -----------------------------------------------------------------------------------------------------

    @cached_property
    def program(self) -> Program:
        """The program whose last output is g (weight decay included); the one before it, if any, is the loss."""
        return self._decayed(group(gradient(self._bare_program())))

    def _decayed(self, program: Program) -> Program:
        if self.weight_decay == 0:
            return program
        builder = Builder.continuing(program)
        *value, g = (Value(builder, index) for index in program.outputs)
        if value:
            square = builder.sum(builder.theta * builder.theta)
            value = [builder.add(value[0], square, 1, exact(self.weight_decay / 2))]
        return builder.finish([*value, builder.add(g, builder.theta, 1, self.weight_decay)])

    @property
    def has_value(self) -> bool:
        """Whether there is a loss to evaluate: false for a field that is given by its velocity."""
        return len(self.program.outputs) > 1

    def value(self, theta: Any) -> float:
        """Loss at `theta`, shape (n,), with the penalty ``weight_decay/2 * |theta|**2``."""
        if not self.has_value:
            raise InputError(f"{self.name} is a velocity field and has no value; use gradient(theta)")
        values = evaluate(self.program, self.validate(theta))
        return float(values[self.program.outputs[0]].item())

    def gradient(self, theta: Any) -> np.ndarray:
        """Gradient g at `theta`, shape (n,), weight decay included."""
        values = evaluate(self.program, self.validate(theta))
        return np.array(values[self.program.outputs[-1]].ravel(), dtype=np.float64)

    def with_weight_decay(self, weight_decay: Any) -> Self:
        """The same loss with the penalty ``weight_decay/2 * |theta|**2``."""
        try:
            number = exact(weight_decay)
            valid = bool(getattr(number, "free_symbols", ())) or 0 <= number < math.inf
        except (TypeError, ValueError, ArithmeticError):
            valid = False
        if not valid:
            raise InputError(
                f"weight_decay must be a finite number >= 0 (or a sympy symbol), got {shown(weight_decay)}"
            )
        return self._with(weight_decay=number)

    @property
    def symbols(self) -> tuple[Any, ...]:
        """A symbol for each parameter: those of the expression, or the entries of the blocks."""
        import sympy

        names = []
        for name, block in self.blocks.items():
            places = itertools.product(*(range(1, count + 1) for count in block.shape))
            names += ["_".join([name, *map(str, place)]) for place in places]
        return tuple(map(sympy.Symbol, names))

    # parameters ---------------------------------------------------------------------------------------------------

    def validate(self, theta: Any) -> np.ndarray:
        """`theta` as a float64 vector of shape (n,); ShapeError or InputError where it is not one."""
        if type(theta) is np.ndarray and theta.shape == (self.size,):
            return checks.vector(theta, "theta", self.size)
        return checks.vector(theta, "theta", self.size, f"the parameters are {self._names()}")

    def _names(self) -> str:
        names = list(self.blocks)
        return ", ".join(names if len(names) <= 8 else [*names[:4], "…", names[-1]])

    def pack(self, *arrays: Any, **named: Any) -> np.ndarray:
        """The flat vector from one array per block, in order or by name."""
        given = dict(zip(self.blocks, arrays, strict=False)) | named
        if len(arrays) > len(self.blocks) or set(given) != set(self.blocks):
            raise InputError(f"pack expects one array for each of {self._names()}, got {len(arrays) + len(named)}")
        theta = np.empty(self.size)
        for name, block in self.blocks.items():
            array = np.asarray(given[name], dtype=np.float64)
            if array.shape != block.shape:
                raise ShapeError(f"{name} has shape {array.shape}, expected {block.shape}")
            theta[block.place] = array.ravel()
        return theta

    def unpack(self, theta: Any) -> dict[str, np.ndarray]:
        """The blocks of a flat vector, by name, as copies."""
        vector = self.validate(theta)
        return {name: vector[b.place].reshape(b.shape).copy() for name, b in self.blocks.items()}

    def describe(self) -> str:
        """One line for records and headers of generated files."""
        decay = f", weight decay {self.weight_decay}" if self.weight_decay else ""
        return f"{self.name} ({self.size} parameters{decay})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"
