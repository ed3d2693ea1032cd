"""Losses and velocity fields from symbolic expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy

from eomsym.errors import ExpressionError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.grouping import group
from eomsym.losses.objective import Block, Objective
from eomsym.losses.parse import parse, symbols, unsupported
from eomsym.losses.program import Number, Program, exact

__all__ = ["Field", "Loss"]


class _Symbolic(Objective):
    """Shared by Loss and Field: variables, expressions, and their lowering."""

    def __init__(self, expressions: Sequence[Any], variables: str | Sequence[Any], name: str) -> None:
        self.variables = symbols(variables)
        self.expressions = tuple(_read(expression, self.variables) for expression in expressions)
        super().__init__(name, {v.name: Block(i, ()) for i, v in enumerate(self.variables)})
        kinks = {f.func.__name__ for e in self.expressions for f in e.atoms(sympy.Abs, sympy.Max, sympy.Min)}
        self.kinks = tuple(sorted(kinks))
        self.smooth = not kinks
        lowering = Lowering(self.variables)
        self._bare = self._finished(lowering.builder, [lowering.value(expression) for expression in self.expressions])

    def _finished(self, builder: Builder, values: list[Value]) -> Program:
        """The program of the expressions."""
        return builder.finish(values)

    def _bare_program(self) -> Program:
        return self._bare

    @cached_property
    def _content(self) -> tuple[Any, ...] | None:
        if type(self) not in (Loss, Field):  # another class may hold more than is compared here
            return None
        return (self.expressions, self.variables, self.name, self.weight_decay)

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The variables."""
        return self.variables


class Loss(_Symbolic):
    """A loss given by an expression.

    Parameters
    ----------
    expression : str or sympy expression
        Numbers (decimals are exact), the variables, ``+ - * / **`` and the functions exp, log, sqrt, tanh, sigmoid,
        softplus, sin, cos, tan, sinh, cosh, atan, erf. ``Abs``, ``Max`` and ``Min`` are accepted for gradient flow
        only (order 0), since they have no higher derivatives.
    variables : str or sequence of names or symbols
        The parameters, in the order of the vector theta.
    name : str, optional
        Name for records; the expression by default.

    Raises
    ------
    ExpressionError
        The text cannot be read, holds an unknown name, or calls an unsupported function.

    Examples
    --------
    >>> loss = Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    >>> loss.value([0, 1]), loss.gradient([0.0, 1.0])
    (1.0, array([-1.,  1.]))
    """

    def __init__(self, expression: Any, variables: str | Sequence[Any], name: str | None = None) -> None:
        super().__init__([expression], variables, str(expression) if name is None else name)

    @property
    def expression(self) -> Any:
        """The loss as a sympy expression, without weight decay."""
        return self.expressions[0]


class Field(_Symbolic):
    """A velocity field ``theta' = F(theta)`` that need not be minus a gradient; ``g = -F``.

    Parameters
    ----------
    velocity : sequence of str or sympy expressions
        One component for each variable.
    variables : str or sequence of names or symbols
    name : str, optional

    Raises
    ------
    ExpressionError
        As for `Loss`, or the number of components is not the number of variables.

    Examples
    --------
    >>> Field(["x - x*y", "x*y - y"], variables="x y").gradient([2.0, 3.0])
    array([ 4., -3.])
    """

    def __init__(self, velocity: Iterable[Any], variables: str | Sequence[Any], name: str | None = None) -> None:
        components = [velocity] if isinstance(velocity, str) else _listed(velocity)
        count = len(symbols(variables))
        if len(components) != count:
            raise ExpressionError(f"a field of {count} variables has {count} components, got {len(components)}")
        listed = f"[{', '.join(map(str, components))}]"
        super().__init__(components, variables, listed if name is None else name)

    def _finished(self, builder: Builder, values: list[Value]) -> Program:
        return builder.finish([builder.join([(i, -value) for i, value in enumerate(values)], len(values))])

    @cached_property
    def program(self) -> Program:
        """The program whose output is g (weight decay included)."""
        return self._decayed(group(self._bare))


def _listed(velocity: Any) -> list[Any]:
    try:
        return list(velocity)
    except TypeError as error:
        raise ExpressionError(
            f"velocity must have one component for each variable, got {type(velocity).__name__}; "
            "write Field(['y', '-x'], variables='x y')"
        ) from error


def _read(expression: Any, variables: tuple[sympy.Symbol, ...]) -> Any:
    if isinstance(expression, str):
        expression = parse(expression, variables)
    try:
        expression = sympy.sympify(expression)
    except (sympy.SympifyError, TypeError) as error:
        raise ExpressionError(f"expected text or a sympy expression, got {type(expression).__name__}") from error
    if not isinstance(expression, sympy.Expr) or expression.is_Matrix:
        raise ExpressionError(f"expected text or a sympy expression, got {type(expression).__name__}")
    unknown = sorted(str(s) for s in expression.free_symbols - set(variables))
    if unknown:
        raise ExpressionError(
            f"unknown names {', '.join(unknown)} in the expression; the variables are {', '.join(map(str, variables))}"
        )
    if expression.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
        raise ExpressionError(f"the expression {expression} is not finite")
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({f: sympy.Rational(str(f)) for f in floats}) if floats else expression


class Lowering:
    """Sympy expressions to scalar nodes; equal subexpressions become one node."""

    def __init__(self, variables: Sequence[sympy.Symbol]) -> None:
        self.builder = Builder(len(variables))
        self.known: dict[Any, Value] = {v: self.builder.part(i, (1, 1)) for i, v in enumerate(variables)}

    def value(self, expression: Any) -> Value:
        """The node of an expression. Works through a stack, so deep nesting is no problem."""
        stack = [expression]
        while stack:
            top = stack[-1]
            if top in self.known:
                stack.pop()
                continue
            missing = [part for part in self._parts(top) if part not in self.known]
            if missing:
                stack.extend(missing)
            else:
                self.known[top] = self._lower(stack.pop())
        return self.known[expression]

    @staticmethod
    def _parts(expression: Any) -> list[Any]:
        """Subexpressions that must be lowered before this one."""
        if not expression.free_symbols:
            return []
        if expression.is_Add:
            return [term.as_coeff_Mul()[1] for term in expression.args if term.free_symbols]
        if expression.is_Pow:
            base, exponent = expression.args
            if exponent.free_symbols:
                return [base, exponent] if base.free_symbols and base != sympy.E else [exponent]
            return [base]
        return [part for part in expression.args if part.free_symbols]

    def _lower(self, expression: Any) -> Value:
        if not expression.free_symbols:
            return self.builder.combine([], [], [_number(expression)])
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(*expression.args)
        name = expression.func.__name__
        if name in _WRITTEN:
            result: Value = getattr(self, f"_{name.lower()}")(*expression.args)
            return result
        row = next((row for row in FUNCTIONS.values() if row.symbol is expression.func), None)
        if row is None:
            raise ExpressionError(unsupported(name))
        return self.known[expression.args[0]].call(row.name)

    # arithmetic ---------------------------------------------------------------------------------------------------

    def _sum(self, expression: Any) -> Value:
        constant: Number = 0
        inputs: list[Value] = []
        entries: list[tuple[int, int, int, Number]] = []
        for term in expression.args:
            if not term.free_symbols:
                constant = constant + _number(term)
                continue
            coefficient, rest = term.as_coeff_Mul()
            entries.append((0, len(inputs), 0, _number(coefficient)))
            inputs.append(self.known[rest])
        return self.builder.combine(inputs, entries, [constant])

    def _product(self, expression: Any) -> Value:
        weight: Number = 1
        factors = []
        for factor in expression.args:
            if factor.free_symbols:
                factors.append(self.known[factor])
            else:
                weight = weight * _number(factor)
        while len(factors) > 1:  # pairwise, so that the depth is logarithmic
            pairs = zip(factors[::2], factors[1::2], strict=False)
            factors = [a * b for a, b in pairs] + factors[len(factors) // 2 * 2 :]
        return self.builder.scaled(factors[0], weight)

    def _power(self, base: Any, exponent: Any) -> Value:
        if base == sympy.E:
            return self.known[exponent].call("exp")
        if exponent.free_symbols:
            if base.free_symbols:
                logarithm = self.known[base].call("log")
            else:
                logarithm = self.builder.combine([], [], [_number(sympy.log(base))])
            return (self.known[exponent] * logarithm).call("exp")
        x = self.known[base]
        if exponent.is_Integer:
            n = abs(int(exponent))
            if exponent < 0:
                x = self._reciprocal(x)
            return self._repeated(x, n)
        if (2 * exponent).is_Integer and exponent > 0:
            root = self._root(x)
            return root if exponent == sympy.S.Half else self._repeated(x, int(exponent - sympy.S.Half)) * root
        return self.builder.elementwise("power", x, self._reciprocal(x), parameters=(_number(exponent),))

    def _root(self, x: Value) -> Value:
        return self.builder.elementwise("power", x, self._reciprocal(x), parameters=(Fraction(1, 2),))

    def _repeated(self, x: Value, n: int) -> Value:
        """Power by repeated squaring; the squares are shared between powers of the same base."""
        result = None
        while n:
            if n & 1:
                result = x if result is None else result * x
            n >>= 1
            if n:
                x = x * x
        assert result is not None
        return result

    # functions ----------------------------------------------------------------------------------------------------

    def _reciprocal(self, x: Value) -> Value:
        return x.call("reciprocal")

    def _tan(self, x: Any) -> Value:
        return self.known[x].call("sin") / self.known[x].call("cos")

    def _sinh(self, x: Any) -> Value:
        e = self.known[x].call("exp")
        return (e - self._reciprocal(e)) * Fraction(1, 2)

    def _cosh(self, x: Any) -> Value:
        e = self.known[x].call("exp")
        return (e + self._reciprocal(e)) * Fraction(1, 2)

    def _abs(self, x: Any) -> Value:
        return self._gate(self.known[x], 1, -1)

    def _max(self, *arguments: Any) -> Value:
        return self._extreme(arguments, 1)

    def _min(self, *arguments: Any) -> Value:
        return self._extreme(arguments, -1)

    def _extreme(self, arguments: Sequence[Any], sign: int) -> Value:
        result = self._any(arguments[0])
        for argument in arguments[1:]:
            gap = self._any(argument) - result
            result = result + (self._gate(gap, 1, 0) if sign > 0 else self._gate(gap, 0, 1))
        return result

    def _any(self, expression: Any) -> Value:
        return self.known[expression] if expression.free_symbols else self._lower(expression)

    def _gate(self, x: Value, above: int, below: int) -> Value:
        return self.builder.elementwise("gate", x, x, parameters=(above, below))


#: Functions that are written with others.
_WRITTEN = {"tan", "sinh", "cosh", "Abs", "Max", "Min"}


def _number(expression: Any) -> Number:
    """An exact coefficient; a complex or undefined one is an error."""
    if not expression.is_real:
        raise ExpressionError(f"the constant {expression} is not a real number")
    return exact(expression)
