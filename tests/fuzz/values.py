"""Values of arguments: good ones by the name of the argument, and odd ones for all of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from fuzz import surface
from fuzz.guard import ASKED, Here
from hypothesis import strategies as st

import eomsym as eom
from eomsym.exact.trees import Tree

O = eom.optimisers  # noqa: E741


@dataclass(frozen=True)
class Problem:
    """A loss, and a folder to write to."""

    loss: Any
    folder: Path

    @property
    def size(self) -> int:
        return int(self.loss.size)


DATA = np.array([[1.0, 0.5], [-0.5, 1.0], [0.25, -1.0]])
TARGETS = np.array([[1.0], [-0.5], [0.25]])


@functools.cache
def losses() -> tuple[Any, ...]:
    return (
        eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"),
        eom.Loss("x**4/4", variables="x"),
        eom.Loss("(tanh(a*x) - 1/2)**2 + exp(-a)*x**2/8", variables="a x"),
        eom.Field(["x - x*y", "x*y - y"], variables="x y"),
        eom.DeepLinear((2, 1, 1), DATA, TARGETS),
        eom.Network((2, 2, 1), DATA, TARGETS),
        eom.Network((2, 2, 1), DATA, TARGETS, activation="relu", bias=True),
        eom.Loss("x**2*y", variables="x y").with_weight_decay(Fraction(1, 10)),
    )


@functools.cache
def kernel(loss: Any, order: int) -> Any:
    return eom.compile(loss, order, form="table")


@functools.cache
def methods() -> tuple[Any, ...]:
    return (
        O.GradientDescent(), O.HeavyBall("1/2"), O.Nesterov("9/10"), O.Adam(), O.SignSGD("1/10"), O.Momentum("1/2"),
        O.SharpnessAware("1/2"), O.ProximalPoint(), O.NormalisedGradient("1/100"), O.Lion(), O.Epoch(2),
        O.Averaged(O.GradientDescent(), "1/2"), O.RungeKutta([[0, 0], ["1/2", 0]], [0, 1]), O.GradientFlow(),
        O.HeavyBall("1/2", memory="kept", eta="1/100"), O.Muon(), O.LinearMultistep([1, -1], [0, 1]),
    )  # fmt: skip


def raising(*arguments: Any, **named: Any) -> Any:
    raise ArithmeticError("an error of the user's own")


def odd_values() -> tuple[Any, ...]:
    """What somebody types by mistake, or another program gives: made anew for each call."""
    return (
        None, True, False, 0, 1, -1, 2, 7, -3, 10**30, 2**63, -(2**63), 10**5000,
        0.0, -0.0, 0.5, 1.0, -1.5, 1e-300, 5e-324, 1e300, math.nan, math.inf, -math.inf, 1j, complex(math.nan, 0),
        "", " ", "x", "0.1", "9/10", "1/0", "nan", "\0", "é", "x" * 5000, b"x", bytearray(b"1"),
        [], [[]], [1], [1, 2], [0.5, -0.5], [[1.0], [2.0, 3.0]], [None], ["a", "b"], [math.nan, 1.0], [1e300, 1e300],
        (), (0,), (1, 2, 3), (0, 0), (-1,), {}, {"a": 1}, {"x": 1.0, "y": 2.0}, {1: 2}, set(), {1, 2}, range(0),
        range(3), np.float32(0.25), np.int64(3), np.uint8(2), np.bool_(True), np.float64(math.nan), np.float16(0.1),
        np.array(0.5), np.array(2), np.array([]), np.zeros((0, 2)), np.zeros((2, 2)), np.ones((2, 1, 1)), np.zeros(2),
        np.ones(2, dtype=np.float32), np.ones(2, dtype=complex), np.array([1, None], dtype=object), np.array(["a"]),
        np.array([1, 2], dtype="datetime64[D]"), np.array([True, False]), np.array([2**63, 1], dtype=np.uint64),
        np.full(2, 1e200), np.full(2, -math.inf), np.ma.masked_array([1.0, 2.0], [True, False]), np.ones(2)[::-1],
        np.array([(1, 2)], "i,i"), np.array(10**400, dtype=object), np.zeros(3000), np.longdouble("0.1"),
        Fraction(1, 2), Fraction(-1, 3), Decimal("0.1"), Decimal("nan"), sympy.Rational(1, 3), sympy.Symbol("beta"),
        sympy.nan, sympy.pi, sympy.oo, sympy.Matrix([1, 2]), sympy.S.EmptySet, object(), raising,
        Path("nowhere"), Path("."), iter([1, 2]), iter([]), NotImplemented, Ellipsis, slice(0, 2), memoryview(b"12"),
        losses()[0], losses()[5], losses(), methods()[1], O.HeavyBall, eom, eom.Event(np.sum), kernel(losses()[1], 1),
        np.complex64(1), np.array(1 + 0j), np.array([0.5]), np.array(True), np.ma.masked, [1.0, np.ma.masked],
        np.timedelta64(3, "D"),
    )  # fmt: skip


@functools.cache
def odd_count() -> int:
    return len(odd_values())


def odd() -> st.SearchStrategy[Any]:
    known = st.integers(0, odd_count() - 1).map(lambda i: odd_values()[i])
    drawn = st.one_of(
        st.floats(), st.integers(-300, 300), st.text(max_size=8), st.lists(st.floats(width=32), max_size=3),
        st.floats(allow_nan=False, allow_infinity=False).map(np.float64),
    )  # fmt: skip
    return st.one_of(known, known, drawn)


def just(*values: Any) -> Callable[[Problem], st.SearchStrategy[Any]]:
    return lambda problem: st.sampled_from(values)


def numbers(size: int, most: int = 16) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.integers(-most, most), min_size=size, max_size=size).map(lambda x: np.array(x) / 16.0)


def point(problem: Problem) -> st.SearchStrategy[Any]:
    return st.one_of(numbers(problem.size), numbers(problem.size).map(list))


def rate(problem: Problem) -> st.SearchStrategy[Any]:
    return st.sampled_from([0.01, 0.1, 0.125, 1, 0.5, 1e-3, np.float64(0.02), Fraction(1, 16), 3.0, 1e-12, 1e6])


def orders_of(problem: Problem) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.just(range(2)), st.just((0, 2)))


def asked(*names: str) -> Callable[[Problem], st.SearchStrategy[Any]]:
    return lambda problem: st.sampled_from([problem.folder / ASKED / name for name in names])


def exact(*more: Any) -> Callable[[Problem], st.SearchStrategy[Any]]:
    return just("1/2", "9/10", 0, Fraction(1, 3), sympy.Rational(1, 100), sympy.Symbol("beta"), "1/1000", 1, *more)


def small_layers(problem: Problem) -> st.SearchStrategy[Any]:
    L = eom.losses
    one = st.sampled_from([
        L.Linear(2), L.Linear(1), L.Bias(), L.Activation("tanh"), L.Activation("relu"), L.BatchNorm(), L.LayerNorm(),
        L.Scale(), L.WeightNorm(L.Linear(2)), L.Conv(1, 1), L.Pool(1),
    ])  # fmt: skip
    return st.one_of(st.lists(one, min_size=1, max_size=4), st.sampled_from([(2, 1), (2, 3, 1), [2, 2, 2, 1]]))


def case(**more: Any) -> dict[str, Any]:
    plain = {"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0, 1], "ladder": [10, 20]}
    return plain | more


def cases(problem: Problem) -> st.SearchStrategy[Any]:
    return st.sampled_from([
        case(), case(time=0.5), case(method={"name": "heavy-ball", "beta": "1/2"}), case(weight_decay="1/10"),
        case(method="nesterov"), case(start=[1.0, 2.0]), case(start=[math.nan]), case(orders=[-1]), case(seed=3),
        case(time="x"), case(ladder=[0]), case(method={"beta": "1/2"}), case(loss="x**"), {"problem": "rosenbrock"},
        {"problem": "nothing"}, {"network": {"widths": [2, 1], "data": "synthetic", "samples": 4}, "orders": [0]},
    ])  # fmt: skip


def shift(theta: Any) -> Any:
    return theta - 0.1 * np.asarray(theta)


def squares(theta: Any) -> Any:
    return (theta**2).sum()


def no_progress(done: int, total: int, label: str) -> None:
    return None


#: Arguments that are always given, and are never odd: without them a call starts processes.
FIXED = {"eomsym.sweep.executor"}
#: And what says how much there is to do, so that no call is long for a good reason.
FIXED |= {
    "eomsym.verify.limit",
    "eomsym.leading_error.limit",
    "eomsym.flow.limit",
    "eomsym.forward.limit",
    "bounds.step_size.limit",
    "bounds.best_order.highest",
    "bounds.step_size.most_steps",
    "bounds.many_step_sizes.most_steps",
}
#: What is given beside, where a function takes the options of another one.
BESIDE: dict[str, dict[str, Any]] = {"testing.assert_order": {"limit": 1.0}}
#: From the name of an argument, or ``function.argument`` where it means something else there, to its good values.
ARGUMENTS: dict[str, Callable[[Problem], st.SearchStrategy[Any]]] = {
    "loss": lambda problem: st.sampled_from([problem.loss] * 4 + [kernel(problem.loss, 2)]),
    "start": point,
    "theta": point,
    "direction": point,
    "path": asked("file.sqlite", "file.toml", "file.json"),
    "eta": rate,
    "time": just(1.0, 0.5, 2, 1e-3, np.float64(1.5)),
    "steps": just(1, 2, 5, 10, 0, 30, np.int64(4)),
    "order": just(0, 1, 2, 3),
    "orders": orders_of,
    "method": lambda problem: st.sampled_from((None, *methods())),
    "every": just(1, 2, 5),
    "rtol": just(1e-6, 1e-9),
    "atol": just(1e-9, 1e-12, 0),
    "tolerance": just(1e-6, 1e-3),
    "progress": just(None, no_progress),
    "name": just(None, "name", "a b"),
    "seed": just(0, 1, 7),
    "ladder": just((5, 10), [10, 20, 40], None),
    "limit": just(1.0, 0.1, 2),
    "events": just((), (eom.Event(np.sum),), [eom.Event(np.sum, "sum", True)]),
    "memory": just("rest", "flow"),
    "late": just(True, False),
    "highest": just(1, 3, 5),
    "certificate": just("measured", "closed_form", "predicted"),
    "curvature": just(None),
    "epsilon": just(1e-3, 0.1, 1.0),
    "most_steps": just(100, 1000),
    "cells": just(10, 50),
    "degree": just(2, 4, 6),
    "substeps": just(1, 2),
    "critical": just(1, 2, 3),
    "fast": just(1, 4, 24),
    "settle": just(None, 0, 5),
    "estimate": just(True, False),
    "count": just(1, 2),
    "product": just(1.0, 2.0, "limit", "radius"),
    "ends": just(True, False),
    "images": just(None, 2, 20),
    "form": just("table", "auto", "explicit"),
    "backend": just("numba"),
    "dtype": just("float64"),
    "use_flint": just(None, True, False),
    "sharp": just(True, False),
    "samples": just(1, 2),
    "digits": just(5, 30),
    **dict.fromkeys(("lower", "upper", "GivenCurvature.slope"), just(lambda theta, radius: 1.0)),
    "n": just(1, 3, 6),
    "rest": just(True, False),
    "threads": just(1, 2),
    "weight_decay": just(0, "1/10", Fraction(1, 3), 0.25),
    "scheme": just("xavier", "he"),
    "quick": just(True, False),
    "outcomes": lambda problem: st.just([]),
    "powers": just([[2], [4]], [[2, 0], [1, 1]]),
    "coefficients": just([[0.5, 0.25]], np.ones((3, 2))),
    "starts": lambda problem: st.lists(numbers(problem.size), min_size=1, max_size=3),
    "scale": just(1.0, 0.5),
    # expressions and networks
    "expression": just("x**2*y", "sin(x) + y", "exp(-x**2)", "x", 0, "1/3*x - y**3", sympy.Symbol("x") ** 2),
    "velocity": just(["x", "y"], ["x*y", "-x"], ["sin(x)", "0"]),
    "variables": just("x y", "x, y", ["x", "y"], sympy.symbols("x y")),
    "layers": small_layers,
    "layer": just(eom.losses.Linear(2), eom.losses.Conv(1, 1)),
    "widths": just((2, 1), (2, 2, 1), [2, 3, 3, 1]),
    "inputs": just(DATA, DATA.tolist(), DATA.astype(np.float32)),
    "targets": just(TARGETS, TARGETS.tolist(), [0, 1, 0]),
    "activation": just(None, "tanh", "relu", "leaky_relu", "linear"),
    "bias": just(True, False),
    "slope": just(0.01, 0.5),
    "units": just(1, 3),
    "filters": just(1, 2),
    "size": just(1, 2, None),
    "stride": just(1, 2, None),
    "padding": just(0, 1),
    "kind": just("tanh", "relu", "linear", "mean", "max"),
    # optimisers
    **dict.fromkeys(
        ("beta", "beta1", "beta2", "alpha", "nu", "decay", "dampening", "width", "threshold", "r"), exact()
    ),
    "inside": just(True, False),
    "bias_correction": just(True, False),
    "nesterov": just(True, False),
    "ns_steps": just(1, 5),
    "rho": just([1, -1], ["3/2", -2, "1/2"]),
    "sigma": just([0, 1], [1, 0, 0]),
    "A": just([[0, 0], ["1/2", 0]], [[1]], [[0]]),
    "b": just([0, 1], [1], ["1/2", "1/2"]),
    "explicit": just(True, False),
    "label": just("", "mine"),
    # formulas
    "format": just("unicode", "latex", "text", "mathml"),
    "above": just(True, False),
    "tree": just(Tree(), Tree.parse("[.[.]]"), Tree.parse("[..1]")),
    "batches": just(1, 2, 3),
    # records, tables, figures, pages
    "columns": just(("a", "b"), [eom.output.Column("a"), "b"]),
    "rows": just([(1, 2.0), (3, None)], [("x", math.nan)], []),
    "title": just("", "A title", "<b>&"),
    "notes": just((), ("a note",)),
    "align": just("left", "right", "centre"),
    "latex": just("", "$x$"),
    "status": just(True, False),
    "panels": just(1, 2, 3),
    "records": just([], [{"status": "passed"}]),
    "command": just(None, "eomsym verify"),
    "content": just({}, {"status": "passed", "x": np.ones(2)}),
    "data": just(None, "0" * 64),
    "value": just({"a": 1}, [1, 2.0, None], "text", np.ones(3), {"x": Fraction(1, 2)}),
    "parts": just([], ["text"], [eom.output.Table(("a",), [(1,)])]),
    "footer": just("", "end"),
    # experiments
    "definition": cases,
    "cases": lambda problem: st.lists(cases(problem), max_size=2),
    "case": cases,
    "vary": just({}, {"seed": [0, 1]}, {"time": {"low": 0.5, "high": 1.0, "count": 2}}),
    "draws": just(None, 1, 3),
    "executor": just(Here()),
    "record": just({"schema": "eomsym.verification"}, {}),
    "proof": just({}, {"claim": 1}),
    # models and steps
    "model": just(squares),
    "arguments": just(np.ones(2)),
    "loss_fn": just(squares),
    "params": just(np.ones(2)),
    "module": just(None),
    "step": just(shift),
    "check": just(True, False),
    "function": just(np.sum, np.max),
    # symmetries
    "symmetries": just(()),
    "block": just("w1", "w2", ("w1", "w2")),
    "row": just(None, 0, 1),
    "column": just(None, 0),
    "matrix": just(True, False),
    # testing
    "kernel": lambda problem: st.just(kernel(problem.loss, 2)),
    "change": just(0.01, -0.5),
    "watch": just(lambda point: None),
    "true": just([1.0, 2.0], 1.0),
    "bound": just([2.0, 3.0], 2.0),
    "got": just({"a": 1}),
    "expected": just({"a": 1}, {"a": 2}),
    "depths": just((2, 3)),
    "most_units": just(1, 2),
    "most": just(1, 3),
    "largest": just(0.5, 1.0),
    "networks": just(None),
    "largest_start": just(1.0),
    "largest_step": just(0.5),
    # what one function means by a name
    "certificate.order": just(0, 1),
    "certificate.steps": just(1, 2, 5),
    "many_distances.eta": just(0.01, [0.01], [0.01, 0.02]),
    "many_distances.loss": lambda problem: st.sampled_from([problem.loss, losses()[1], losses()[0]]),
    "many_distances.certificate": just("measured", "closed_form"),
    "many_step_sizes.time": just(1.0, [0.5], [0.1, 1.0]),
    "many_step_sizes.epsilon": just(0.1, [0.5], [0.1, 1e-3]),
    "many_step_sizes.loss": lambda problem: st.sampled_from([problem.loss, losses()[1], losses()[0]]),
    "many_step_sizes.certificate": just("measured", "closed_form"),
    "many_step_sizes.most_steps": just(5, 10),
    "NetworkFamily.inputs": just(DATA[None], np.stack([DATA, 2 * DATA])),
    "NetworkFamily.targets": just(TARGETS[None], np.stack([TARGETS, -TARGETS])),
    "NetworkFamily.widths": just((2, 1), (2, 1, 1), [2, 2, 1]),
    "NetworkFamily.activation": just("linear", "relu", "leaky_relu"),
    "NetworkFamily.loss": just("mse", "cross_entropy"),
    "enclose_flow.order": just(0, 1),
    "enclose_flow.steps": just(1, 2, 5),
    "descend.memory": just("rest", "flow"),
    "edge_flow.memory": just("rest", "flow"),
    "Epoch.order": just(2, (0, 1), 3, (1, 0)),
    "Lookahead.steps": just(1, 5),
    "LayerNorm.epsilon": just(0.0, 0.1),
    "BatchNorm.epsilon": just(0.0, 0.1),
    "Averaged.method": lambda problem: st.sampled_from(methods()),
    "eigenvalue_range.kernel": lambda problem: st.just(kernel(problem.loss, 0)),
    "flow.time": just(1.0, [0.5, 1.0], np.linspace(0, 1, 3)),
    "forward.steps": just(5, 100, [3, 4]),
    "forward.eta": just(0.01, [0.01, 0.02], 0.1),
    "DeepLinear.loss": just("mse", "cross_entropy"),
    "Network.loss": just("mse", "cross_entropy"),
    "deep_linear_networks.loss": just("mse"),
    "homogeneous_networks.loss": just("mse"),
    "simulate.name": just("modes", "error"),
    "simulate.problem": just(None, None, {"loss": "x**4/4", "variables": "x", "start": [1.0]}),
    "simulate.steps": just(10, 20),
    "reproduce.name": just("nobody2000"),
    "RescalingSymmetry.layers": just(("w1", "w2")),
    "RescalingSymmetry.axes": just((0, 1), (1, 0)),
    "order_conditions.order": just(0, 1, 2, 3, 4),
    "watch.path": lambda problem: st.lists(numbers(problem.size), min_size=1, max_size=3),
    "assert_order.steps": just((10, 20), (5, 10, 20)),
    "output.record.kind": just("experiment", "verification"),
    "record.kind": just("experiment", "verification"),
    "schema.kind": just("experiment", "verification"),
    "Pool.kind": just("mean", "max"),
    "accuracy.limit": just(2, 5),
    "runs.start": just(None),
    "symmetries_of.network": just(*losses()[4:7]),
    "Figure.size": just((4, 3)),
    "Figure.columns": just(None, 1, 2),
    "Column.format": just(".1e", ".3f"),
    "Column.status": just(True, False),
    "Plan.case": just(case()),
    "run_case.case": lambda problem: st.just(eom.experiments.Case(case())),
    "Records.path": asked("records.sqlite"),
    "summarise.records": lambda problem: st.just(None),
    "options": just(),
    "split.count": just(1, 2),
}
ARGUMENTS |= {
    "Kernel.self": lambda problem: st.sampled_from([0, 2]).map(lambda order: kernel(problem.loss, order)),
    "Loss.self": lambda problem: st.just(problem.loss),
    "Network.self": lambda problem: st.sampled_from([one for one in losses() if isinstance(one, eom.Network)]),
    "GradientDescent.self": lambda problem: st.sampled_from([one for one in methods() if one.is_linear]),
}


def known(name: str, argument: str) -> Callable[[Problem], st.SearchStrategy[Any]] | None:
    """Good values of an argument of a public name, or None."""
    place, _, function = name.rpartition(".")
    keys = (f"{place}.{function}.{argument}", f"{function}.{argument}", f"{place}.{argument}", argument)
    return next((ARGUMENTS[key] for key in keys if key in ARGUMENTS), None)


def unknown(name: str) -> Iterator[str]:
    """Arguments of a public name for which there are no values."""
    for argument, parameter in surface.parameters(surface.public()[name]).items():
        if parameter.kind is not parameter.VAR_KEYWORD and known(name, argument) is None:
            yield argument


@st.composite
def calls(draw: st.DrawFn, name: str, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of a call of a public name: mostly one of them is odd, sometimes none, sometimes any."""
    problem = Problem(draw(st.sampled_from(losses())), folder)
    listed = [p for p in surface.parameters(surface.public()[name]).values() if p.kind is not p.VAR_KEYWORD]
    fixed = {p.name for p in listed if p.name == "self" or f"{name}.{p.name}" in FIXED}
    given = [p for p in listed if p.default is p.empty or p.name in fixed or draw(st.integers(0, 2)) == 0]
    may_be_odd = [p.name for p in given if p.name not in fixed]
    how = draw(st.sampled_from(["one", "one", "one", "good", "any"]))
    strange = {draw(st.sampled_from(may_be_odd))} if how == "one" and may_be_odd else set()
    many = any(p.kind is p.VAR_POSITIONAL for p in listed)
    positional, named = [], {}
    for parameter in given:
        is_odd = parameter.name in strange or (how == "any" and parameter.name in may_be_odd and draw(st.booleans()))
        good = known(name, parameter.name)
        assert good is not None
        value = draw(odd() if is_odd else good(problem))
        if parameter.kind is not parameter.KEYWORD_ONLY and (many or parameter.name == "self"):
            positional.append(value)
        else:
            named[parameter.name] = value
    return positional, named | BESIDE.get(name, {})
