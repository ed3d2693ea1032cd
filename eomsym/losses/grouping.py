"""Equal scalar operations of one level become one array operation.

A symbolic loss lowers to hundreds of scalar nodes. They are regrouped here: everything linear is folded into sparse
affine maps, and the functions and products that are left are collected by level, operation and parameters. The result
alternates ``combine`` (gather, scale and add) with elementwise operations on vectors, so the size of the generated
code follows the depth of the expression and not its length.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TypeAlias

from eomsym.losses.builder import Builder, Value
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.operations import ELEMENTWISE
from eomsym.losses.program import Node, Number, Program

__all__ = ["group"]

#: A scalar that is not linear in others: (node, lane); node 0 is the parameter vector.
Atom: TypeAlias = tuple[int, int]
#: A linear form: coefficients of atoms, and a constant.
Form: TypeAlias = tuple[dict[Atom, Number], Number]

#: What a program of scalars consists of.
SCALAR = {
    "theta",
    "join",
    "constant",
    "part",
    "combine",
    "add",
    "scaled",
    "shift",
    "multiply",
    "square",
    *ELEMENTWISE,
}

#: A shared linear form of more terms than this is computed once; a shorter one is repeated where it is used.
SHORT = 3


def group(program: Program) -> Program:
    """The same outputs from grouped operations; a program that holds arrays already is returned as it is."""
    for node in program.nodes:
        if node.operation not in SCALAR | FUNCTIONS.keys() or (
            node.size > 1 and node.operation not in {"theta", "join"}
        ):
            return program
    return _Grouping(program).result()


class _Grouping:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.uses = Counter(i for node in program.nodes for i in node.inputs)
        self.forms: dict[int, Form] = {}
        self.levels: dict[Atom, int] = {(0, lane): 0 for lane in range(program.size)}
        #: members of each group, by (level, operation, parameters)
        self.groups: dict[tuple[int, str, tuple[object, ...]], list[int]] = defaultdict(list)
        self.place: dict[Atom, tuple[Value, int]] = {}

    def result(self) -> Program:
        vectors: dict[int, list[Form]] = {}
        for index, node in enumerate(self.program.nodes):
            if node.operation == "join":
                vectors[index] = self._joined(node)
            elif node.operation != "theta":
                self.forms[index] = self._form(index, node)
        builder = Builder(self.program.size)
        for lane in range(self.program.size):
            self.place[0, lane] = (builder.theta, lane)
        for key in sorted(self.groups, key=lambda key: (key[0], key[1], str(key[2]))):
            self._emit(builder, key[1], key[2], self.groups[key])
        outputs = []
        for output in self.program.outputs:
            forms = vectors[output] if output in vectors else [self.forms[output]]
            outputs.append(self._vector(builder, forms))
        return builder.finish(outputs)

    # linear forms -------------------------------------------------------------------------------------------------

    def _form(self, index: int, node: Node) -> Form:
        linear = self._linear(node)
        if linear is None:
            return self._opaque(index, node)
        terms, _ = linear
        if self.uses[index] > 1 and len(terms) > SHORT:
            level = 1 + max(self.levels[atom] for atom in terms)
            self.levels[index, 0] = level
            self.groups[level, "combine", ()].append(index)
            self.forms[index] = linear
            return {(index, 0): 1}, 0
        return linear

    def _linear(self, node: Node) -> Form | None:
        """The linear form of a linear operation, over the forms of its inputs."""
        if node.operation == "constant":
            return {}, self.program.constants[node.parameters[0]].flat[0]
        if node.operation == "part":
            return {(0, node.parameters[0]): 1}, 0
        if node.operation == "combine":
            entries, offset = node.parameters
            return self._sum(((node.inputs[source], lane, c) for _, source, lane, c in entries), offset[0])
        if node.operation in {"add", "scaled"}:
            return self._sum(((i, 0, w) for i, w in zip(node.inputs, node.parameters, strict=True)), 0)
        if node.operation == "shift":
            return self._sum([(node.inputs[0], 0, 1)], self.program.constants[node.parameters[0]].flat[0])
        return None

    def _sum(self, parts: object, constant: Number) -> Form:
        total: dict[Atom, Number] = {}
        for source, lane, weight in parts:  # type: ignore[attr-defined]
            terms, shift = ({(0, lane): 1}, 0) if source == 0 else self.forms[source]
            constant = constant + weight * shift
            for atom, coefficient in terms.items():
                total[atom] = total.get(atom, 0) + weight * coefficient
        return {atom: c for atom, c in total.items() if c != 0}, constant

    def _opaque(self, index: int, node: Node) -> Form:
        """A function or product: a new atom, put into the group of its level."""
        atom = (index, 0)
        inputs = [self.forms[i][0] for i in node.inputs]
        level = 1 + max((self.levels[a] for terms in inputs for a in terms), default=0)
        self.levels[atom] = level
        self.groups[level, node.operation, node.parameters].append(index)
        return {atom: 1}, 0

    def _joined(self, node: Node) -> list[Form]:
        forms: list[Form] = [({}, 0)] * node.size
        for source, start in zip(node.inputs, node.parameters, strict=True):
            forms[start] = self.forms[source]
        return forms

    # array nodes --------------------------------------------------------------------------------------------------

    def _emit(self, builder: Builder, operation: str, parameters: tuple[object, ...], members: list[int]) -> None:
        if operation == "combine":
            value = self._vector(builder, [self.forms_of_kept(index) for index in members])
        else:
            # In the order of what they read: a function and its derivative then have the same order, and no gather is
            # needed between them.
            members = sorted(members, key=self._reads)
            arity = len(self.program.nodes[members[0]].inputs)
            inputs = [
                self._vector(builder, [self.forms[self.program.nodes[m].inputs[slot]] for m in members])
                for slot in range(arity)
            ]
            value = builder.apply(operation, inputs, (len(members), 1), parameters)
        for lane, index in enumerate(members):
            self.place[index, 0] = (value, lane)

    def forms_of_kept(self, index: int) -> Form:
        """The terms of a shared form (elsewhere it stands for itself)."""
        linear = self._linear(self.program.nodes[index])
        assert linear is not None
        return linear

    def _reads(self, index: int) -> list[tuple[int, int]]:
        """Places that the inputs of a node are made of."""
        atoms = [self.place[atom] for i in self.program.nodes[index].inputs for atom in self.forms[i][0]]
        return [(value.index, lane) for value, lane in atoms]

    def _vector(self, builder: Builder, forms: list[Form]) -> Value:
        """The vector of some linear forms: an existing array where it is one, else a sparse affine map."""
        found = [[(*self.place[atom], c) for atom, c in terms.items()] for terms, _ in forms]
        if all(len(row) == 1 and row[0][2] == 1 and shift == 0 for row, (_, shift) in zip(found, forms, strict=True)):
            first = found[0][0][0]
            if first.shape[0] == len(forms) and all(
                row[0][0].index == first.index and row[0][1] == lane for lane, row in enumerate(found)
            ):
                return first
        values: dict[int, Value] = {}
        for row in found:
            for value, _, _ in row:
                values.setdefault(value.index, value)
        order = {index: source for source, index in enumerate(values)}
        entries = [
            (out, order[value.index], lane, coefficient)
            for out, row in enumerate(found)
            for value, lane, coefficient in row
        ]
        return builder.combine(list(values.values()), entries, [shift for _, shift in forms])
