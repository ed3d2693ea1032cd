"""Programs made from programs: the gradient (reverse mode) and the tangent field (forward mode).

References
----------
A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), chapters 3 and 4,
doi:10.1137/1.9780898717761.
"""

from __future__ import annotations

import numpy as np

from eomsym.errors import InternalError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.operations import operation
from eomsym.losses.program import Node, Program

__all__ = ["gradient", "tangent"]


def gradient(program: Program) -> Program:
    """The program of ``(value, gradient)`` from the program of a scalar value, by reverse mode.

    Parameters
    ----------
    program : Program
        One output, of shape (1, 1).

    Returns
    -------
    Program
        Outputs: the value, shape (1, 1), and its gradient with respect to node 0, shape (n, 1). The work is a small
        multiple of that of the value.

    Examples
    --------
    >>> import numpy as np
    >>> from eomsym.losses.builder import Builder
    >>> from eomsym.losses.values import evaluate
    >>> builder = Builder(3)
    >>> both = gradient(builder.finish([builder.sum(builder.theta * builder.theta)]))
    >>> evaluate(both, np.array([1.0, 2.0, 3.0]))[both.outputs[1]].ravel()
    array([2., 4., 6.])
    """
    (output,) = program.outputs
    if program.nodes[output].shape != (1, 1):
        raise InternalError(f"the value of a loss has shape (1, 1), not {program.nodes[output].shape}")
    builder = Builder.continuing(program)
    size = program.size
    # What reaches the parameters is kept by place, so that n scalar parameters cost one join and not n additions.
    pieces: dict[tuple[int, int], Value] = {}
    rest: Value | None = None
    adjoints = {output: builder.fix(np.array([[1]], dtype=object))}
    for index in range(output, 0, -1):
        node = program.nodes[index]
        value = Value(builder, index)
        inputs = [Value(builder, i) for i in node.inputs]
        if index not in adjoints:
            continue
        up = adjoints.pop(index)
        if node.operation == "part":
            key = (node.parameters[0], node.size)
            if key in pieces and pieces[key].shape != up.shape:  # the same parameters in another shape
                up = builder.apply("reshape", [up], pieces[key].shape)
            pieces[key] = pieces[key] + up if key in pieces else up
            continue
        parts = operation(node.operation).adjoint(builder, node, up, value, *inputs)
        for source, part in zip(node.inputs, parts, strict=True):
            if part is None:
                continue
            if source == 0:
                rest = part if rest is None else rest + part
            else:
                adjoints[source] = adjoints[source] + part if source in adjoints else part
    layers = _apart(pieces)
    for layer in layers if layers or rest is not None else [[]]:
        joined = builder.join(layer, size)
        rest = joined if rest is None else rest + joined
    assert rest is not None
    return builder.finish([Value(builder, output), rest])


def _apart(pieces: dict[tuple[int, int], Value]) -> list[list[tuple[int, Value]]]:
    """Pieces by their place, so that equal losses give equal programs, in as few lists as do not overlap."""
    layers: list[list[tuple[int, Value]]] = []
    ends: list[int] = []
    for (start, size), piece in sorted(pieces.items(), key=lambda item: item[0]):
        free = next((k for k, end in enumerate(ends) if end <= start), len(layers))
        if free == len(layers):
            layers.append([])
            ends.append(0)
        layers[free].append((start, piece))
        ends[free] = start + size
    return layers


def tangent(program: Program, field: int) -> Program:
    """The program of ``(F(theta), DF(theta) u)`` over the parameters ``(theta, u)``, by forward mode.

    Modified fields commute with linearisation, so the counter terms of this field are ``(term_k(theta),
    D term_k(theta) u)``: one transformation gives the Jacobian of every counter term times a vector.

    Parameters
    ----------
    program : Program
        Its node `field` is a vector field of shape (n, 1).
    """
    size = program.size
    builder = Builder(2 * size)
    values: list[Value] = []
    tangents: list[Value] = []
    later: list[tuple[int, int]] = []
    constants = [builder.constant(array) for array in program.constants]
    for place, node in enumerate(program.nodes):
        if node.operation == "theta":
            values.append(builder.part(0, (size, 1)))
            tangents.append(builder.part(size, (size, 1)))
            continue
        if any(i >= place for i in node.inputs):  # a feedback: what it reads is not written yet
            for found in (values, tangents):
                builder.nodes.append(Node(node.operation, (0,), node.shape, node.parameters))
                later.append((len(builder.nodes) - 1, node.inputs[0]))
                found.append(Value(builder, len(builder.nodes) - 1))
            continue
        parameters = node.parameters
        if node.operation in {"constant", "shift", "weigh", "matmul_left", "matmul_right"}:
            parameters = (constants[parameters[0]],)
        inputs = [values[i] for i in node.inputs]
        value = builder.apply(node.operation, inputs, node.shape, parameters)
        placed = builder.nodes[value.index]
        values.append(value)
        tangents.append(
            operation(node.operation).tangent(builder, placed, value, inputs, [tangents[i] for i in node.inputs])
        )
    for (index, source), found in zip(later, (values, tangents) * len(later), strict=False):
        node = builder.nodes[index]
        builder.nodes[index] = Node(node.operation, (found[source].index,), node.shape, node.parameters)
    both = builder.join([(0, values[field]), (size, tangents[field])], 2 * size)
    return builder.finish([both])
