"""A tape as few wide instructions: its operations collected by level and kind, everything linear folded into sums.

What a Taylor series in time needs is written here for a stepper (:mod:`eomsym.codegen.stepper`): products, squares and
functions, each of many places at once, and sums of places that gather their operands. Additions and factors cost no
instruction of their own, so the number of instructions follows the depth of the tape and not its length.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from eomsym.codegen.numbers import nearest
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.derivative import slope_at
from eomsym.taylor.rings.tape import Place, Tape

__all__ = ["SUMS", "Levels"]

#: Kinds of instructions: sums, products, squares, functions, and the sums that are the velocity.
SUMS, PRODUCTS, SQUARES, FUNCTION, VELOCITY = range(5)
#: A shared sum of more places than this is computed once; a shorter one is repeated where it is used.
SHORT = 3
#: So many short sums are filled up with zeros to one length, to be one instruction.
FEW = 8

#: A sum of atoms: factors by atom, and a constant.
Form: TypeAlias = tuple[dict[int, float], float]


@dataclass(frozen=True)
class _Atom:
    """What is not a sum: a parameter, a product, a function; or a long sum that is shared."""

    kind: str
    level: int
    operands: tuple[Form, ...] = ()
    exponent: Any = 0


class Levels:
    """Instructions for the velocity ``-sum_k eta**k terms[k]`` whose terms stand on a tape.

    Parameters
    ----------
    tape : Tape
        The derivatives of its functions are added to it.
    terms : sequence of sequence of int
        Places of each term.
    size : int
        Number of parameters.
    lanes : int
        Trajectories side by side; widths are rounded up to what vectors of this many can do.

    Attributes
    ----------
    code : ndarray of int64, shape (lines, 9)
        Of sums: ``kind, 0, first entry, 0, first sum, sums, terms, 0, k``; of products and functions: ``kind, out, x,
        y, width, scaled, exponent, function, k``. Places in bytes; k is the first term that needs the line.
    targets, columns, factors, constants : ndarray
        Of each sum its place (in bytes) and constant; of each entry its place and factor.
    corrections : ndarray of int64
        Places of ``-eta**k terms[k]`` for k >= 1.
    words : int
        Numbers in a row.
    """

    def __init__(self, tape: Tape, terms: Sequence[Sequence[int]], size: int, lanes: int) -> None:
        self.size, self.lanes = size, lanes
        self._tape = tape
        self._atoms: list[_Atom] = [_Atom("variable", 0) for _ in range(size)]
        self._slopes = _slopes(tape, terms)
        self._slope_of: dict[int, int] = {}
        outputs = [index for row in terms for index in row]
        live = tape.live([Place(tape, index) for index in [*outputs, *self._slopes.values()]])
        self._uses = Counter([*outputs, *self._slopes.values()])
        for index in live:
            kind, *arguments = tape.lines[index]
            if kind not in {"variable", "number"}:
                self._uses.update(arguments)
        self._known: dict[Any, int] = {}
        self._forms: dict[int, Form] = {}
        for index in live:
            self._forms[index] = self._form(index)
        self._place: dict[int, int] = {}
        self._end = 0
        self._lines: list[list[int]] = []
        self._targets: list[int] = []
        self._columns: list[int] = []
        self._factors: list[Any] = []
        self._powers_of: list[int] = []
        self._constants: list[Any] = []
        self._exponents: list[Any] = []
        self._write(terms)
        self._finish()

    # forms --------------------------------------------------------------------------------------------------------

    def _form(self, index: int) -> Form:
        kind, *arguments = self._tape.lines[index]
        if kind == "variable":
            return {arguments[0]: 1.0}, 0.0
        if kind == "number":
            return {}, nearest(arguments[0])
        if kind == "+":
            return self._sum(index, *arguments)
        if kind == "*":
            return self._product(*arguments)
        inner = self._forms[arguments[0]]
        exponent = nearest(self._tape.lines[arguments[1]][1]) if kind == "power" else 0
        atom = self._atom(kind, (inner,), exponent)
        self._slope_of[atom] = self._slopes[index]
        return {atom: 1.0}, 0.0

    def _sum(self, index: int, left: int, right: int) -> Form:
        if len(self._forms[left][0]) < len(self._forms[right][0]):
            left, right = right, left
        terms, constant = self._forms[left]
        terms = terms if self._uses[left] == 1 else dict(terms)  # what nobody else reads may grow
        for atom, factor in self._forms[right][0].items():
            terms[atom] = terms.get(atom, 0.0) + factor
        form = {atom: c for atom, c in terms.items() if c != 0} if 0 in terms.values() else terms
        constant = constant + self._forms[right][1]
        if self._uses[index] > 1 and len(form) > SHORT:
            return {self._atom("sum", ((form, constant),)): 1.0}, 0.0
        return form, constant

    def _product(self, left: int, right: int) -> Form:
        (a, first), (b, second) = self._forms[left], self._forms[right]
        if not a or not b:
            number, (terms, constant) = (first, (b, second)) if not a else (second, (a, first))
            return {atom: c * number for atom, c in terms.items()}, constant * number
        factor, pair = 1.0, []
        for terms, constant in ((a, first), (b, second)):
            if len(terms) == 1 and constant == 0:  # the factor of a single place goes to the product
                ((atom, c),) = terms.items()
                factor = factor * c
                pair.append(({atom: 1.0}, 0.0))
            else:
                pair.append((terms, constant))
        return {self._atom("*", tuple(sorted(pair, key=_key))): factor}, 0

    def _atom(self, kind: str, operands: tuple[Form, ...], exponent: Any = 0) -> int:
        key = kind, tuple(map(_key, operands)), exponent
        if key not in self._known:
            level = 1 + max((self._atoms[a].level for terms, _ in operands for a in terms), default=0)
            kept = tuple((dict(terms), constant) for terms, constant in operands)
            self._atoms.append(_Atom(kind, level, kept, exponent))
            self._known[key] = len(self._atoms) - 1
        return self._known[key]

    # instructions -------------------------------------------------------------------------------------------------

    def _least_terms(self, terms: Sequence[Sequence[int]]) -> dict[int, int]:
        """For each atom, the first term that needs it."""
        found: dict[int, int] = {}
        for k, row in enumerate(terms):
            waiting = [atom for index in row for atom in self._forms[index][0]]
            while waiting:
                atom = waiting.pop()
                if atom in found:
                    continue
                found[atom] = k
                for form, _ in self._atoms[atom].operands:
                    waiting += form
                if atom in self._slope_of:
                    waiting += self._forms[self._slope_of[atom]][0]
        return found

    def _write(self, terms: Sequence[Sequence[int]]) -> None:
        self._block(range(self.size))
        least = self._least_terms(terms)
        groups: dict[Any, list[int]] = defaultdict(list)
        for number, atom in enumerate(self._atoms[self.size :], self.size):
            square = atom.kind == "*" and atom.operands[0] == atom.operands[1]
            groups[atom.level, least[number], "square" if square else atom.kind, atom.exponent].append(number)
        functions = []
        for key in sorted(groups, key=lambda key: (*key[:3], str(key[3]))):
            found = self._group(key[2], sorted(groups[key], key=self._reads), key[1], key[3])
            functions += [found] if found else []
        for line, members in functions:  # of the slopes the degrees below are read, so they may come last
            line[3] = self._gathered([self._forms[self._slope_of[a]] for a in members], line[8])
        self._write_velocity(terms)

    def _group(self, kind: str, members: list[int], least: int, exponent: Any) -> tuple[list[int], list[int]] | None:
        """Lines of a group; of a function also the line that waits for the slopes."""
        operands = [self._atoms[a].operands for a in members]
        if kind == "sum":
            self._sums([pair[0] for pair in operands], self._block(members), least)
            return None
        x = self._gathered([pair[0] for pair in operands], least)
        width = self._width(len(members))
        if kind == "*":
            y = self._gathered([pair[1] for pair in operands], least)
            self._lines.append([PRODUCTS, self._block(members), x, y, width, 0, 0, 0, least])
            return None
        if kind == "square":
            self._lines.append([SQUARES, self._block(members), x, 0, width, 0, 0, 0, least])
            return None
        scaled, out = self._room(len(members)), self._block(members)
        line = [FUNCTION, out, x, 0, width, scaled, len(self._exponents), list(FUNCTIONS).index(kind), least]
        self._exponents.append(exponent)
        self._lines.append(line)
        return line, members

    def _write_velocity(self, terms: Sequence[Sequence[int]]) -> None:
        """Each correction ``-eta**k terms[k]`` by itself, and the velocity."""
        self._corrections = [self._room(self.size) for _ in terms[1:]]
        for k, (row, out) in enumerate(zip(terms[1:], self._corrections, strict=True), 1):
            forms = [self._forms[index] for index in row]
            rows = [[(self._place[a], -c, k) for a, c in form.items()] for form, _ in forms]
            self._rows(SUMS, rows, range(out, out + self.size), [(-shift, k) for _, shift in forms], k)
        rows, shifts = [], []
        for q, index in enumerate(terms[0]):
            form, shift = self._forms[index]
            corrections = [(out + q, 1, 0) for out in self._corrections]
            rows.append([*((self._place[a], -c, 0) for a, c in form.items()), *corrections])
            shifts.append((-shift, 0))
        self._rows(VELOCITY, rows, range(self.size), shifts, 0)

    def _finish(self) -> None:
        exponents = [*self._exponents, 0.0]
        self._fixed = np.array([*(x for x, _ in self._constants), *exponents])
        self._fixed_power = np.array([*(k for _, k in self._constants), *([0] * len(exponents))])
        self.code = np.array(self._lines, dtype=np.int64)
        places = 8 * self.lanes
        functions = self.code[:, 0] == FUNCTION
        wide = functions | (self.code[:, 0] == PRODUCTS) | (self.code[:, 0] == SQUARES)
        self.code[wide, 1:4] *= places
        self.code[functions, 5] *= places
        self.code[functions, 6] += len(self._constants)
        self.corrections = np.array(self._corrections, dtype=np.int64) * places
        self.targets = np.array(self._targets, dtype=np.int64) * places
        self.columns = np.array(self._columns, dtype=np.int64) * places
        self._factor = np.array(self._factors)
        self._power = np.array(self._powers_of)
        self.words = (self._end + 16) * self.lanes

    def numbers(self, eta: float) -> tuple[np.ndarray, np.ndarray]:
        """Factors and constants of all sums for a learning rate."""
        return self._factor * eta**self._power, self._fixed * eta**self._fixed_power

    def _reads(self, number: int) -> list[int]:
        return [self._place.get(a, 0) for terms, _ in self._atoms[number].operands for a in terms]

    def _width(self, count: int) -> int:
        """Numbers of a group, rounded up to whole vectors."""
        numbers = count * self.lanes
        return next((v for v in (2, 4) if numbers <= v), -(-numbers // 8) * 8)

    def _room(self, count: int) -> int:
        start = self._end
        self._end += max(self._width(count) // self.lanes, count)
        return start

    def _block(self, members: Sequence[int]) -> int:
        start = self._room(len(members))
        for offset, atom in enumerate(members):
            self._place[atom] = start + offset
        return start

    def _gathered(self, forms: list[Form], least: int) -> int:
        """Where some forms stand one behind the other: where their atoms do already, else where sums put them."""
        first = next(iter(forms[0][0]), None)
        begin = self._place[first] if first is not None else 0
        if all(
            constant == 0 and len(terms) == 1 and self._place[next(iter(terms))] == begin + q and 1 in terms.values()
            for q, (terms, constant) in enumerate(forms)
        ):
            return begin
        start = self._room(len(forms))
        self._sums(forms, start, least)
        return start

    def _sums(self, forms: list[Form], out: int, least: int) -> None:
        rows = [[(self._place[atom], c, 0) for atom, c in terms.items()] for terms, _ in forms]
        self._rows(SUMS, rows, range(out, out + len(forms)), [(constant, 0) for _, constant in forms], least)

    def _rows(
        self, kind: int, rows: list[list[Any]], targets: Sequence[int], shifts: list[tuple[Any, int]], least: int
    ) -> None:
        """Lines for sums, those of one length together; a few short ones are filled up to the same length."""
        lengths = [max(1, len(row)) if len(row) <= 4 else -(-len(row) // 4) * 4 for row in rows]
        if len(rows) <= FEW and max(lengths) <= 8:
            lengths = [max(lengths)] * len(rows)
        line: list[int] = []
        for r in sorted(range(len(rows)), key=lambda r: lengths[r]):
            if not line or lengths[r] != line[6]:
                line = [kind, 0, len(self._columns), 0, len(self._constants), 0, lengths[r], 0, least]
                self._lines.append(line)
            line[5] += 1
            self._targets.append(targets[r])
            self._constants.append(shifts[r])
            for place, factor, k in rows[r] + [(0, 0, 0)] * (lengths[r] - len(rows[r])):
                self._columns.append(place)
                self._factors.append(factor)
                self._powers_of.append(k)


def _key(form: Form) -> Any:
    """What tells a form from others."""
    return tuple(sorted(form[0].items())), form[1]


def _slopes(tape: Tape, terms: Sequence[Sequence[int]]) -> dict[int, int]:
    """For each function on the tape, the place of its derivative; derivatives bring functions of their own."""
    found: dict[int, int] = {}
    waiting = [Place(tape, index) for row in terms for index in row]
    while waiting:
        new = [i for i in tape.live(waiting) if tape.lines[i][0] in FUNCTIONS and i not in found]
        waiting = []
        for index in new:
            slope = slope_at(tape, index)
            found[index] = slope.index
            waiting.append(slope)
    return found
