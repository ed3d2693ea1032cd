"""What users type by mistake, class by class: the error says what was got and what to type, or the result is right.

Each of these once hung, filled the memory, or ended in an error of another package.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import (
    DivergenceError,
    EomsymWarning,
    ExpressionError,
    HypothesisError,
    InexactError,
    InputError,
    MethodError,
    ShapeError,
    SizeError,
)  # fmt: skip

KEPT = eom.HeavyBall("1/2", memory="kept", eta="1/100")
LOSS = eom.Loss("x**4/4 + y**2/2 + x*y/3", variables="x y")
START = [1.0, -0.5]
NAN, INF = math.nan, math.inf
INPUTS, TARGETS = np.ones((3, 2)), np.ones((3, 1))
O = eom.optimisers  # noqa: E741


def expression(text, variables="x"):
    return lambda: eom.Loss(text, variables=variables)


def verify(loss=LOSS, start=START, **changed):
    return lambda: eom.verify(loss, start, **{"time": 1.0, **changed})


def descend(loss=LOSS, start=START, **changed):
    return lambda: eom.descend(loss, start, **{"eta": 0.1, "steps": 3, **changed})


def flow(loss=LOSS, start=START, **changed):
    return lambda: eom.flow(loss, start, **{"time": 1.0, "eta": 0.1, "order": 1, **changed})


def network(*arguments, **options):
    return lambda: eom.Network(*arguments, **options)


def distance(**changed):
    return lambda: eom.bounds.distance(LOSS, START, **{"eta": 0.1, "steps": 3, **changed})


def distances(**changed):
    return lambda: eom.bounds.many_distances(LOSS, [START], **{"eta": 0.1, "steps": 3, "order": 0, **changed})


def enclosures(**changed):
    return lambda: eom.bounds.enclose_terms(LOSS, START, **changed)


def enclosed(**changed):
    return lambda: eom.bounds.enclose_flow(LOSS, START, **{"eta": 0.1, "steps": 3, **changed})


def certificate(**changed):
    return lambda: eom.bounds.certificate(LOSS, START, **{"eta": 0.1, "steps": 3, **changed})


def predict(**changed):
    return lambda: eom.symmetries.predict(LOSS, START, **{"eta": 0.1, "steps": 3, "symmetries": (), **changed})


EXPRESSIONS = {
    "tower": (expression("9**9**9"), "power 9\\*\\*387420489 in an expression is too large"),
    "tower of a variable": (expression("x**9**9**9"), "is too large; expected exponents up to 10000"),
    "exponent": (expression("x**1000000000"), "power x\\*\\*1000000000 in an expression is too large"),
    "exponent below zero": (expression("x*2**(-9**9)"), "is too large"),
    "exponent as a decimal": (expression("x**1e300"), "is too large"),
    "root to a power": (expression("x*2**(1/2)**(10**9)"), "is too large"),
    "in a function": (expression("x*sin(9**9**9)"), "is too large"),
    "tower of products": (expression("x*9**999*9**999*9**999*9**999"), "more than 1000 digits"),
    "decimal": (expression("x*1e999999999"), "a number of more than 1000 digits"),
    "small decimal": (expression("x*1e-999999"), "a number of more than 1000 digits"),
    "digits": (expression("x*" + "9" * 20_000), "cannot read the expression"),
    "some digits": (expression("x*" + "9" * 1_500), "more than 1000 digits"),
    "depth": (expression("(" * 500 + "x" + ")" * 500), "cannot read the expression|nested too deeply"),
    "length": (expression("+".join(["x"] * 50_000)), "nested too deeply"),
    "signs": (expression("-" * 3000 + "x"), "nested too deeply"),
    "division": (expression("x/0"), "is not finite"),
    "logarithm": (expression("x + log(0)"), "is not finite"),
    "unreal": (expression("x*sqrt(-1)"), "is not a real number"),
    "nan": (expression("x + nan"), "unknown name 'nan'"),
    "empty": (expression(""), "cannot read the expression"),
    "blank": (expression("   "), "cannot read the expression"),
    "call": (expression("__import__('os')"), "unsupported function '__import__'"),
    "attribute": (expression("x.diff"), "cannot use 'x.diff' in an expression"),
    "list": (expression("[x]"), "cannot use"),
    "comparison": (expression("x < 1"), "cannot use"),
    "complex": (expression("1j*x"), "cannot use"),
    "truth": (expression("True"), "cannot use"),
    "floor": (expression("x//2"), "cannot use"),
    "function": (expression("gamma(x)"), "unsupported function 'gamma'"),
    "arguments": (expression("exp(x, x)"), "exp got 2 arguments"),
    "no arguments": (expression("exp()"), "exp got 0 arguments"),
    "null": (expression("x\0"), "cannot read the expression"),
    "None": (expression(None), "expected text or a sympy expression, got NoneType"),
    "list of texts": (expression(["x"]), "expected text or a sympy expression, got list"),
    "bytes": (expression(b"x"), "expected text or a sympy expression, got bytes"),
    "matrix": (expression(sympy.Matrix([1, 2])), "expected text or a sympy expression"),
    "float nan": (expression(NAN), "is not finite"),
    "no variables": (expression("x", ""), "variables must be names or symbols"),
    "None as variables": (expression("x", None), "variables must be names or symbols"),
    "empty variables": (expression("x", []), "variables must be names or symbols"),
    "number as variables": (expression("x", 3), "variables must be names or symbols"),
    "twice": (expression("x", "x x"), "variables must be distinct, got x, x"),
    "twice in a list": (expression("x", ["x", "x"]), "variables must be distinct"),
    "no name": (expression("x", "x 1y"), "'1y' is no name of a variable"),
    "quote": (expression("x", "x y'"), '"y\'" is no name of a variable'),
    "blank in a name": (expression("x", ["x", "a b"]), "'a b' is no name of a variable"),
    "empty name": (expression("x", ["x", ""]), "'' is no name of a variable"),
    "bracket": (expression("x", "x (y"), "is no name of a variable"),
    "mixed": (expression("x", ["x", 3]), "variables must be names or symbols"),
    "field of nothing": (lambda: eom.Field(None, variables="x"), "one component for each variable, got NoneType"),
    "field of a number": (lambda: eom.Field(3, variables="x"), "one component for each variable, got int"),
    "empty field": (lambda: eom.Field([], variables="x"), "has 1 components, got 0"),
    "kinks": (lambda: eom.compile(eom.Loss("Abs(x)", variables="x"), 1), "no derivatives at its kinks"),
}


@pytest.mark.parametrize("make, match", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expressions(make, match):
    with pytest.raises(ExpressionError, match=match):
        make()


INPUT = {
    "text for a loss": (verify("x**2", [1.0]), "expected a loss such as eomsym.Loss"),
    "None for a loss": (verify(None), "expected a loss such as eomsym.Loss.*NoneType"),
    "class for a loss": (lambda: eom.compile(eom.Loss, 1), "expected a loss such as eomsym.Loss"),
    "method as text": (verify(method="heavy-ball"), r"a method such as eomsym.HeavyBall\(beta='9/10'\), got str"),
    "method as a class": (verify(method=eom.HeavyBall), r"a method such as eomsym.HeavyBall\(beta='9/10'\), got type"),
    "method as a number": (descend(method=0.9), "a method such as eomsym.HeavyBall.*got float 0.9"),
    "sgd": (flow(method="SGD"), r"a method such as eomsym.GradientDescent\(\), got str 'SGD'"),
    "adam": (lambda: eom.modified_field(LOSS, 1, method="adam"), r"a method such as eomsym.Adam\(\), got str 'adam'"),
    "method of terms": (lambda: eom.counter_terms(3, method="heavy-ball"), "expected a method object"),
    "text for a field": (lambda: eom.modified_field("x", 1), "expected a loss such as eomsym.Loss"),
    "time nan": (verify(time=NAN), "time must be a finite number > 0, got nan"),
    "time inf": (verify(time=INF), "time must be a finite number > 0, got inf"),
    "time text": (verify(time="1"), "time must be a finite number > 0, got '1'"),
    "time None": (verify(time=None), "time must be a finite number > 0, got None"),
    "times nan": (flow(time=NAN), "time"),
    "no times": (flow(time=[]), "time"),
    "orders text": (verify(orders="0-2"), "expected one or more integers from 0 on"),
    "orders number": (verify(orders=2), "expected one or more integers from 0 on"),
    "no orders": (verify(orders=[]), "expected one or more integers from 0 on"),
    "order 2000": (verify(orders=[2000]), "order must be an integer from 0 to 200"),
    "order 2000 of a flow": (flow(order=2000), "order must be an integer from 0 to 200"),
    "order 10**9": (lambda: eom.compile(LOSS, 10**9), "order must be an integer from 0 to 200"),
    "order 10**5000": (lambda: eom.compile(LOSS, 10**5000), "got an integer of 16610 bits"),
    "order -1": (lambda: eom.compile(LOSS, -1), "order must be an integer from 0 to 200"),
    "order True": (lambda: eom.compile(LOSS, True), "order must be an integer"),
    "order text": (flow(order="2"), "order must be an integer"),
    "order of terms": (lambda: eom.counter_terms(2000), "order must be an integer from 0 to 19"),
    "order of a formula": (lambda: eom.modified_field(LOSS, 2000), "order must be an integer from 0 to 30"),
    "order of a loss": (lambda: eom.modified_loss(2000), "order must be an integer from 0 to"),
    "length of a series": (lambda: eom.HeavyBall("1/2").series(2000), "n must be an integer from 1 to 500"),
    "no order": (flow(order=None), "a loss needs an order of the equation of motion"),
    "no eta": (flow(eta=None), "needs a learning rate, such as eta=0.01"),
    "eta nan": (descend(eta=NAN), "eta must be a finite number > 0, got nan"),
    "eta text": (descend(eta="0.1"), "eta must be a finite number > 0, got '0.1'"),
    "eta True": (descend(eta=True), "eta must be a finite number > 0, got True"),
    "eta list": (descend(eta=[0.1, 0.2]), "eta must be a finite number > 0"),
    "eta of a field": (lambda: eom.compile(LOSS, 1).field(START, NAN), "eta must be a finite number, got nan"),
    "ladder number": (verify(ladder=10), "expected two or more different positive integers"),
    "ladder text": (verify(ladder="10,20"), "expected two or more different positive integers"),
    "steps float": (descend(steps=10.0), "steps must be an integer.*got 10.0; type steps=10"),
    "steps -1": (descend(steps=-1), "steps must be an integer"),
    "steps 10**13": (descend(steps=10**13), "steps must be an integer from 0 to 10000000000"),
    "every 0": (descend(every=0), "every must be an integer >= 1"),
    "memory": (descend(memory="resting"), "unknown memory 'resting'; choose"),
    "start text": (verify(start="here"), "theta"),
    "start None": (verify(start=None), "theta"),
    "start ragged": (verify(start=[[1.0], [2.0, 3.0]]), "theta"),
    "start complex": (verify(start=[1j, 2]), "theta must be"),
    "start inf": (verify(start=[INF, 1]), "theta must be finite"),
    "start of many digits": (verify(start=[10**400, 1]), "theta must be"),
    "names": (descend(start={"z": 1.0, "x": 1.0, "y": 1.0}), "z"),
    "points ragged": (lambda: eom.compile(LOSS, 1).terms([[1.0], [1.0, 2.0]]), "theta must be an array"),
    "threads": (lambda: eom.compile(LOSS, 1).terms([START] * 2, threads=0), "threads must be an integer >= 1"),
    "form": (lambda: eom.compile(LOSS, 1, form="fast"), "unknown form 'fast'; choose one of auto"),
    "rtol 0": (flow(rtol=0), "rtol=0"),
    "rtol text": (flow(rtol="a"), "rtol='a'"),
    "atol": (flow(atol=-1), "atol=-1"),
    "weight decay": (lambda: LOSS.with_weight_decay(NAN), "weight_decay must be a finite number"),
    "weight decay text": (lambda: LOSS.with_weight_decay("much"), "weight_decay must be a finite number"),
    "experiment": (lambda: eom.simulate("linaer"), "unknown experiment 'linaer'.*did you mean linear"),
    "images": (lambda: eom.simulate("modes", images=3), "leave out images"),
    "steps of an experiment": (lambda: eom.simulate("modes", steps=-3), "steps must be an integer"),
    "widths text": (network("2-3-1", INPUTS, TARGETS), "widths|layers"),
    "widths 0": (network((2, 0, 1), INPUTS, TARGETS), "widths|layers|Linear|units"),
    "data nan": (network((2, 1), INPUTS * NAN, TARGETS), "inputs must be finite"),
    "data text": (network((2, 1), "abc", TARGETS), "inputs must be an array of real numbers"),
    "data complex": (network((2, 1), INPUTS * 1j, TARGETS), "inputs must be an array of real numbers"),
    "activation": (network((2, 3, 1), INPUTS, TARGETS, "rleu"), "unknown activation 'rleu'.*did you mean relu"),
    "activation function": (network((2, 3, 1), INPUTS, TARGETS, np.tanh), "unknown activation"),
    "loss": (network((2, 3, 1), INPUTS, TARGETS, loss="l2"), "unknown loss 'l2'"),
    "class 5 of 3": (network((2, 3), INPUTS, [0, 1, 5], loss="cross_entropy"), "targets|labels|classes"),
    "bias": (network((2, 3, 1), INPUTS, TARGETS, bias="yes"), "bias must be True or False, got 'yes'"),
    "seed": (lambda: eom.Network((2, 1), INPUTS, TARGETS).initial(seed="a"), "seed must be an integer >= 0"),
    "seed -1": (lambda: eom.Network((2, 1), INPUTS, TARGETS).initial(seed=-1), "seed must be an integer >= 0"),
    "scheme": (lambda: eom.Network((2, 1), INPUTS, TARGETS).initial(scheme="xaver"), "did you mean xavier"),
    "scale": (lambda: eom.Network((2, 1), INPUTS, TARGETS).initial(scale=NAN), "scale must be a finite number"),
    "batches": (lambda: eom.Network((2, 1), INPUTS, TARGETS).split(100), "100"),
    "widths without a dimension": (network(np.array(2), INPUTS, TARGETS), "layers must be widths"),
    "weight decay decimal": (lambda: LOSS.with_weight_decay(Decimal("nan")), "weight_decay must be a finite number"),
    "decimals inf": (lambda: eom.compile(LOSS, 1).decimals([-INF, 0]), "theta must be numbers or texts"),
    "times complex": (flow(time=np.array([0, 1j])), "expected numbers, such as"),
    "start complex of a memory": (descend(start=np.ones(2) * 1j, method=KEPT), "theta must be an array of real"),
    "bound complex": (lambda: eom.testing.assert_bound_holds([1.0], bound=np.array([1j])), "expected numbers and bou"),
    "time of many digits": (flow(time=10**5000), "time=an integer of 16610 bits: expected numbers"),
    "size masked": (lambda: eom.output.Figure(size=np.ma.array([4, 3], mask=[0, 1])), "a length in size must be"),
    "path of a folder": (lambda: eom.compile(LOSS, 1).save("."), "path must name a file, got str '.'"),
    "records in a folder": (lambda: eom.sweep([], path=Path("/")), "path must name a file"),
    "order of enclosures": (enclosures(order=51), "order must be an integer from 0 to 50"),
    "order of an enclosed flow": (enclosed(order=13), "order must be an integer from 0 to 12"),
    "degree": (enclosed(degree=2**63), "degree must be an integer from 1 to 100"),
    "substeps": (enclosed(substeps=2**63), "substeps must be an integer from 1 to 1000"),
    "degree of a certificate": (certificate(degree=2**63), "degree must be an integer from 1 to 100"),
    "substeps of a certificate": (certificate(substeps=2**63), "substeps must be an integer from 1 to 1000"),
    "an event by its name": (lambda: eom.Event(*("half", len)), "function must be a function of.*, got str 'half'"),
    "steps of a certificate": (certificate(steps=10**30), "steps must be an integer from 1 to 10000000000"),
    "steps of a bound": (distance(steps=2**63), "steps must be an integer from 1 to 10000000000"),
    "steps of bounds": (distances(steps=10**30), "steps must be an integer from 1 to 10000000000"),
    "steps of an enclosed flow": (enclosed(steps=10**30), "steps must be an integer from 1 to 10000000000"),
    "steps of a prediction": (predict(steps=10**30), "steps must be an integer from 1 to 10000000000"),
    "time of a run": (descend(start=[0.0, 0.0], eta=1e308), "3 steps of eta=1e\\+308 take no finite time"),
    "time of a prediction": (predict(eta=1e308), "3 steps of eta=1e\\+308 take no finite time"),
    "time of a bound": (distance(eta=1e308), "3 steps of eta=1e\\+308 take no finite time"),
    "time of bounds": (distances(eta=1e308), "3 steps of eta=1e\\+308 take no finite time"),
    "time of an enclosed flow": (enclosed(eta=1e308), "3 steps of eta=1e\\+308 take no finite time"),
    "rtol list": (flow(rtol=[1e-6]), r"rtol=\[1e-06\]: expected a number"),
    "atol text": (flow(atol="small"), "atol='small': expected a positive number, or 2 of them; type atol=1e-14"),
    "atol of three": (flow(atol=[1e-9] * 3), "expected a positive number, or 2 of them; type atol=1e-14"),
    "atol complex": (flow(atol=1j), "atol=1j: expected a positive number, or 2 of them"),
    "steps ahead": (lambda: eom.forward(LOSS, START, eta=0.1, steps=10**5000), "steps must be an integer from 1 to"),
    "directions": (lambda: eom.edge_flow(LOSS, START, eta=0.1, steps=2, critical=2**63), "critical must be an int"),
    "kind of many digits": (lambda: eom.losses.Activation(10**5000), "an integer of 16610 bits"),
    "integer of a record": (lambda: eom.output.dumps({"a": 10**5000}), "a record cannot hold an integer of 16610 bits"),
    "fraction of a record": (lambda: eom.output.dumps([Fraction(1, 10**5000)]), "a record cannot hold Fraction"),
    "trees": (
        lambda: eom.testing.assert_coefficients_equal({1: 2}, {"a": 2}),
        r"got keys \[1\] and \['a'\], which have no order",
    ),
    "estimate": (
        lambda: eom.edge_flow(LOSS, START, eta=0.1, steps=2, estimate=-64),
        "estimate must be True or False, got -64",
    ),
    "class of a method": (lambda: eom.formulas.accuracy(eom.HeavyBall), "expected a method object such as"),
    "steps at the edge": (lambda: eom.edge_flow(LOSS, START, eta=0.1, steps=10**30), "steps must be an integer from 1"),
}  # fmt: skip


@pytest.mark.parametrize("make, match", INPUT.values(), ids=INPUT)
def test_arguments(make, match):
    with pytest.raises(InputError, match=match):
        make()


METHODS = {
    "float": (lambda: O.HeavyBall(0.9), InexactError, "exact numbers are needed, for example '0.9'"),
    "nan": (lambda: O.HeavyBall(NAN), InexactError, "exact numbers are needed"),
    "inf": (lambda: O.HeavyBall("inf"), InputError, "write a number such as '9/10' or '0.9'"),
    "nan text": (lambda: O.HeavyBall("nan"), InputError, "write a number such as '9/10' or '0.9'"),
    "None": (lambda: O.HeavyBall(None), InputError, "an int, a Fraction or an exact sympy expression is needed"),
    "huge": (lambda: O.HeavyBall("1e99999999"), InputError, "write a number such as"),
    "many digits": (lambda: O.HeavyBall("0." + "9" * 5000), InputError, "write a number such as"),
    "many digits of an integer": (lambda: O.HeavyBall(10**5000), InputError, "has more than 1000 digits"),
    "many digits of a fraction": (lambda: O.HeavyBall(Fraction(1, 10**5000)), InputError, "more than 1000 digits"),
    "many digits in sympy": (lambda: O.HeavyBall(sympy.Integer(10) ** 5000), InputError, "more than 1000 digits"),
    "zoo": (lambda: O.HeavyBall(sympy.zoo), InputError, "a finite number is needed"),
    "complex": (lambda: O.HeavyBall(1j), InputError, "an int, a Fraction or an exact sympy expression is needed"),
    "one": (lambda: O.HeavyBall(1), MethodError, "beta = 1 keeps all momentum"),
    "memory": (lambda: O.HeavyBall("1/2", memory="keep"), MethodError, "unknown memory 'keep'"),
    "no eta": (lambda: O.HeavyBall("1/2", memory="kept"), MethodError, "add for instance eta='1/100'"),
    "beta1": (lambda: O.Adam(beta1=1), MethodError, "use beta1 < 1"),
    "epsilon": (lambda: O.Adam(epsilon=-1), MethodError, "expected a number >= 0"),
    "inside": (lambda: O.Adam(inside="yes"), InputError, "inside must be True or False"),
    "inner steps": (lambda: O.Lookahead(steps=10**6), InputError, "steps must be an integer from 1 to 50"),
    "Newton-Schulz steps": (lambda: O.Muon(ns_steps=10**6), InputError, "ns_steps must be an integer from 1 to 20"),
    "multistep None": (lambda: O.LinearMultistep(None, None), InputError, "a sequence of exact numbers is needed"),
    "multistep without a dimension": (lambda: O.LinearMultistep([1, -1], np.array(2)), InputError, "a sequence of exa"),
    "stages without a dimension": (lambda: O.RungeKutta(np.array(0), [1]), InputError, "rows of exact numbers are"),
    "multistep nan": (lambda: O.LinearMultistep([1, NAN], [1]), InexactError, "exact numbers are needed"),
    "inconsistent": (lambda: O.LinearMultistep([1, -2], [1]), MethodError, r"rho\(1\) = -1, expected 0"),
    "ragged": (lambda: O.RungeKutta([[0], [1, 2]], [1]), InputError, "rows of lengths"),
    "no stages": (lambda: O.RungeKutta([], []), InputError, "expected|stage|needed"),
    "weights": (lambda: O.RungeKutta([[0]], [1, 2]), InputError, "expected|stage|rows"),
    "width": (lambda: O.SignSGD(0), MethodError, "expected a number > 0"),
    "threshold": (lambda: O.ClippedGradient(0), MethodError, "expected a number > 0"),
    "epoch of text": (lambda: O.Epoch("ab"), MethodError, "expected a permutation"),
    "epoch of None": (lambda: O.Epoch(None), MethodError, "expected a permutation"),
    "epoch True": (lambda: O.Epoch(True), MethodError, "expected a permutation"),
    "epoch 0": (lambda: O.Epoch(0), MethodError, "expected a permutation"),
    "epoch 1.5": (lambda: O.Epoch(1.5), MethodError, "expected a permutation"),
    "epoch with a gap": (lambda: O.Epoch([0, 2]), MethodError, "expected a permutation"),
    "epoch of words": (lambda: O.Epoch(["a", 0]), MethodError, "expected a permutation"),
    "epoch of floats": (lambda: O.Epoch([0.0, 1.0]), MethodError, "expected a permutation"),
    "epoch of a billion": (lambda: O.Epoch(10**9), MethodError, "more than 127 batches"),
}


@pytest.mark.parametrize("make, error, match", METHODS.values(), ids=METHODS)
def test_parameters_of_methods(make, error, match):
    with pytest.raises(error, match=match):
        make()


SIZES = {
    "variables": (expression("x0", "x0:1000000000"), "more than 100000"),
    "network": (network((2, 10**9, 1), INPUTS, TARGETS), "parameters; expected at most 100000000"),
    "steps of a measured bound": (distance(steps=10**10), "steps of 2 numbers would not fit in memory; take fewer"),
    "steps of many bounds": (distances(steps=10**10), "steps of 2 numbers would not fit in memory; take fewer"),
    "steps of enclosures": (enclosed(steps=10**10), "steps of 2 numbers would not fit in memory; take fewer"),
    "steps of a prediction": (predict(steps=10**10), "keep fewer with every=10000000"),
    "iterates": (descend(steps=10**10), "keep fewer with every=10000000"),
    "100 batches": (lambda: eom.counter_terms(2, method=O.Epoch(100)), "ask for a lower order or fewer batches"),
    "order of batches": (lambda: eom.counter_terms(5, method=O.Epoch(10)), "ask for a lower order or fewer batches"),
}


@pytest.mark.parametrize("make, match", SIZES.values(), ids=SIZES)
def test_what_is_too_large_is_refused_at_once(make, match):
    with pytest.raises(SizeError, match=match):
        make()


def test_numbers_whose_squares_overflow_are_judged_without_a_warning():
    """One of 1e200 is finite, and its square is not."""
    quartic = eom.Loss("x**4/4", variables="x")
    found = eom.bounds.best_order(quartic, [1e52], eta=1e-106, highest=0)
    assert found.predicted[0] == np.inf  # the norm of 1e260
    leading = eom.leading_error(quartic, [1e40], time=1e-90, orders=[0])
    np.testing.assert_allclose(leading.norms, 1.5e110, rtol=1e-6)  # time times 3/2 x**5
    assert eom.testing.assert_bound_holds([1e-308, 0.0], bound=[2.0, 0.0]) == np.inf
    assert eom.testing.assert_bound_holds([1.0, 0.0], bound=[2.0, 0.0]) == 2.0


def test_an_integer_of_thousands_of_digits_is_shown_in_short():
    with pytest.raises(HypothesisError, match="got an integer of 16610 bits; give GivenCurvature"):
        eom.curvature.curvature_of(10**5000)
    with pytest.raises(HypothesisError, match="integer of 16610 bits"):
        eom.bounds.guarantee_convergence(10**5000, [1.0], epsilon=0.1)


def test_the_shortest_time_there_is_can_be_followed():
    leading = eom.leading_error(LOSS, START, time=5e-324, orders=[0])
    np.testing.assert_array_equal(leading.norms, 0.0)


def test_floats_longer_than_those_of_python_are_written():
    assert eom.output.dumps({"x": np.longdouble("0.5"), "z": np.clongdouble(1j)}).split() == [
        "{", '"x":', "0.5,", '"z":', '"1j"', "}"
    ]  # fmt: skip


def test_shapes():
    with pytest.raises(ShapeError, match="expected"):
        verify(start=[1.0, 2.0, 3.0])()
    with pytest.raises(ShapeError, match="expected"):
        eom.compile(LOSS, 1).terms(np.ones((2, 2, 2)))
    with pytest.raises(ShapeError, match=r"memory has shape|expected"):
        descend(method=eom.HeavyBall("1/2"), memory=[1.0])()


def test_what_looks_odd_and_is_right():
    """Large but fair numbers, decimals of many digits, names that are also functions, an array with gaps."""
    assert eom.Loss("(x+1)**1000/1000", variables="x").gradient([0.0])[0] == 1.0
    assert eom.Loss("x*0.1234567890123456789012", variables="x").expression == sympy.Symbol("x") * sympy.Rational(
        "0.1234567890123456789012"
    )
    assert eom.Loss("exp*3", variables="exp").gradient([1.0])[0] == 3.0
    assert eom.Loss("x*2**-100*2**100", variables="x").gradient([1.0])[0] == 1.0
    kernel = eom.compile(LOSS, 2, form="explicit")
    wide = np.array([1.0, 9.0, -0.5, 9.0])
    np.testing.assert_array_equal(kernel.terms(wide[::2]), kernel.terms(START))
    points = np.asfortranarray([START, [0.3, 0.4]])
    np.testing.assert_array_equal(kernel.terms(points)[0], kernel.terms(START))


QUADRATIC = eom.Loss("50*x**2 + y**2/2", variables="x y")


def test_an_unstable_run_is_told_the_steps_that_would_do():
    """Sharpness 100: gradient descent is stable below eta = 0.02, so it takes at least 1000 steps up to time 20."""
    with pytest.raises(DivergenceError, match=r"eta\*lambda = 4 is beyond 2, where gradient descent becomes") as caught:
        eom.descend(QUADRATIC, [1.0, 1.0], eta=0.04, steps=5000)
    assert "use eta <= 0.02, at least 10000 steps up to time 200" in str(caught.value)
    assert np.isfinite(eom.descend(QUADRATIC, [1.0, 1.0], eta=0.02, steps=10_000).thetas).all()


def test_beyond_the_radius_of_momentum_the_answer_is_quick():
    """It took 24 s and an integration error; the radius of heavy ball with 9/10 is (1 - sqrt(9/10))**2 = 0.0026."""
    with pytest.raises(DivergenceError, match=r"too stiff: [1-9]0+ steps only reach|leaves the finite") as caught:
        eom.flow(QUADRATIC, [1.0, 1.0], eta=0.01, time=20.0, order=4, method=eom.HeavyBall("9/10"))
    told = str(caught.value)
    assert "eta*lambda = 1 is beyond the radius 0.00263 of heavy ball" in told
    assert "use eta <= 2.6e-05, at least 769231 steps up to time 20" in told
    assert "HeavyBall('9/10', memory='kept', eta='0.01')" in told


WARNED = {
    "not zero-stable": (lambda: O.LinearMultistep([1, 4, -5], [4, 2]), "its rho has the root -5,"),
    "twice on the circle": (lambda: O.LinearMultistep([1, 1, -1, -1], [4, 0, 0]), "its rho has the root -1 twice,"),
    "growing momentum": (lambda: eom.HeavyBall(2), "its rho has the root 2,"),
    "ten times as fast": (lambda: O.LinearMultistep([1, -1], [10]), "moves 10 times as fast.*divide its weights by 10"),
    "climbing": (lambda: O.RungeKutta([[0]], [-1]), "effective learning rate -1 eta, and climbs"),
}


@pytest.mark.parametrize("make, match", WARNED.values(), ids=WARNED)
def test_methods_that_nobody_means_warn(make, match):
    with pytest.warns(EomsymWarning, match=match):
        make()


@pytest.mark.filterwarnings("error")
def test_methods_that_are_usual_do_not_warn():
    eom.HeavyBall("9/10"), eom.Nesterov("99/100"), eom.HeavyBall(sympy.Symbol("beta"))
    O.LinearMultistep([1, -1, 0], ["3/2", "-1/2"]), O.LinearMultistep([1, 0, -1], [2, 0])
    O.RungeKutta([[0, 0], ["1/2", 0]], [0, 1])
