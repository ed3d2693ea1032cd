"""A loss that was traced out of another framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError, InputError
from eomsym.losses import objective
from eomsym.losses.objective import Block, Objective
from eomsym.losses.program import Program
from eomsym.losses.values import value_of

__all__ = ["Traced", "agree", "blocks_of", "checked_maxima"]


class Traced(Objective):
    """A loss from JAX or PyTorch; made by :func:`eomsym.from_jax` and :func:`eomsym.from_torch`.

    Attributes
    ----------
    blocks : mapping of str to Block
        The parameters by their paths.
    start : ndarray, shape (n,)
        The parameters that it was traced with.
    """

    def __init__(
        self,
        name: str,
        blocks: Mapping[str, Block],
        bare: Program,
        start: np.ndarray,
        tree: Callable[[dict[str, np.ndarray]], Any] | None = None,
        leaves: Callable[[Any], list[Any]] | None = None,
    ) -> None:
        super().__init__(name, blocks)
        self._bare, self._tree, self._leaves = bare, tree, leaves
        self.start = start

    def _bare_program(self) -> Program:
        return self._bare

    def pack(self, *arrays: Any, **named: Any) -> np.ndarray:
        """The flat vector of a tree of parameters, or of one array for each block, in order or by name."""
        if len(arrays) == 1 and not named:
            if self._leaves is not None:
                return super().pack(*self._leaves(arrays[0]))
            if isinstance(arrays[0], Mapping):
                given = {name: _numpy(array) for name, array in arrays[0].items()}
                return super().pack(**{name: given[name] for name in self.blocks if name in given})
        return super().pack(*map(_numpy, arrays), **{name: _numpy(array) for name, array in named.items()})

    def unpack(self, theta: Any) -> Any:
        """The parameters of a flat vector: a tree like the one that was given, or a dict by name."""
        blocks = super().unpack(theta)
        return blocks if self._tree is None else self._tree(blocks)


def _numpy(array: Any) -> np.ndarray:
    detach = getattr(array, "detach", None)
    return np.asarray(array if detach is None else detach().cpu().numpy(), dtype=np.float64)


def blocks_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Block]:
    """Blocks one behind the other; a model without parameters is refused."""
    blocks = objective.blocks_of({name: tuple(shape) for name, shape in shapes.items()})
    if not any(block.size for block in blocks.values()):
        raise InputError("the model has no parameters: give it at least one array of floats")
    return blocks


def agree(loss: Traced, value: float, gradient: np.ndarray, tolerance: float, framework: str) -> None:
    """ExpressionError where value or gradient at the start are not those of the framework."""
    found, slope = loss.value(loss.start), loss.gradient(loss.start)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise InputError(
            f"the loss is {value!r} at the given parameters, and its gradient has "
            f"{np.count_nonzero(~np.isfinite(gradient))} entries that are not finite; give finite data and parameters"
        )
    scale = float(np.abs(gradient).max()) or 1.0
    with np.errstate(all="ignore"):
        wrong = np.abs(slope - gradient) / scale
    if not abs(found - value) <= tolerance * max(abs(value), scale):
        raise ExpressionError(
            f"the loss read from {framework} is {found!r} at the given parameters, and {framework} says {value!r}; "
            "the function is not the same each time (random numbers, state), or rounds to fewer digits than float64"
        )
    if not wrong.max() <= tolerance:
        worst = int(np.argmax(wrong))
        block = next(name for name, b in loss.blocks.items() if b.start <= worst < b.start + b.size)
        raise ExpressionError(
            f"the gradient of the loss read from {framework} differs from {framework}'s by {wrong.max():.1e} of its "
            f"largest entry, most in {block}; a custom derivative, or a maximum under stop_gradient that does not "
            "cancel, cannot be read: write the function without it"
        )


def checked_maxima(loss: Traced) -> None:
    """ExpressionError where a maximum that is held constant does not cancel, as it does in a softmax.

    All of them are moved, and the gradient must stay.
    """
    program = loss.program
    if not any(node.operation == "peak" for node in program.nodes):
        return
    values = [_evaluated(program, loss.start, shift)[program.outputs[-1]] for shift in (0.0, 0.25)]
    if np.abs(values[1] - values[0]).max() > 1e-9 * np.abs(values[0]).max():
        raise ExpressionError(
            "a maximum under stop_gradient changes the gradient, and its own motion would be lost; leave stop_gradient "
            "out, so that the maximum is valid inside a region, or use log_softmax, softmax or logsumexp"
        )


def _evaluated(program: Program, theta: np.ndarray, shift: float) -> list[np.ndarray]:
    """Values of all nodes with maxima moved."""
    program = Program(program.nodes, tuple(c.astype(np.float64) for c in program.constants), program.outputs)
    values: list[np.ndarray] = [theta.reshape(-1, 1)]
    for node in program.nodes[1:]:
        found = value_of(node.operation)(program, node, *(values[i] for i in node.inputs)).reshape(node.shape)
        values.append(found + shift if node.operation == "peak" else found)
    return values
