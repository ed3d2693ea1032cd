"""Documents: every format says the same, and defines every symbol that it uses."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.documents import Concrete, Derivation
from eomsym.formulas.elementwise import elementwise_terms
from eomsym.formulas.meaning import motion
from eomsym.optimisers.adaptive import Adam, RMSProp
from eomsym.optimisers.linear import Epoch
from eomsym.optimisers.normalised import NormalisedGradient
from eomsym.optimisers.signs import Lion

BETA, LAMBDA, R = sympy.Symbol("beta"), sympy.Symbol("lambda"), sympy.Symbol("r")
b1, b2, eps, width, lam = sympy.symbols("beta1 beta2 epsilon width lambda", positive=True)
FORMATS = ("text", "unicode", "latex", "mathml", "html", "python")


def document(method: Any, order: int, **options: Any) -> Derivation:
    terms: Any = eom.counter_terms(order, method=method) if method.is_linear else elementwise_terms(method, order)
    return Derivation(method, order, terms, **options)


def written(made: Derivation, form: str) -> str:
    """The document as text, without the marks of its format."""
    text = made.text(form) if form in ("text", "unicode") else getattr(made, form)()
    if form == "latex":
        for name, letter in {"nabla": "∇", "theta": "θ", "lambda": "λ", "eta": "η", "beta": "β", "lVert": "‖",
                             "rVert": "‖", "left": "", "right": ""}.items():  # fmt: skip
            text = text.replace(f"\\{name}", letter)
        text = re.sub(r"\^\{2\}", "²", re.sub(r"\\t?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", text)).replace("^{3}", "³")
    if form in ("mathml", "html"):
        text = re.sub(r"<mn>2</mn></msup>", "²", re.sub(r"<mn>3</mn></msup>", "³", text))
        text = re.sub(r"</mrow><mrow>", "/", text)
        text = re.sub(r"<[^>]*>", "", text)
    if form in ("text", "python"):
        for name, letter in {"theta": "θ", "lambda": "λ", "grad ": "∇", "D^2 ": "∇²", "D^3 ": "∇³", "eta": "η"}.items():
            text = text.replace(name, letter)
    return re.sub(r"[\s$&]", "", text)


@pytest.mark.parametrize("form", FORMATS)
def test_weight_decay_reads_the_same_everywhere(form: str) -> None:
    text = written(document(eom.GradientDescent(), 2, decay=LAMBDA), form)
    assert "g=∇L+λθ" in text
    assert "A=∇²L+λI" in text
    assert "λ,theweightdecay" in text or "λtheweightdecay" in text
    assert "H=" not in text
    if form in ("unicode", "latex", "mathml", "html"):
        assert "1/2Ag" in text
        assert "1/3A²g+1/12∇³L[g,g]" in text


@pytest.mark.parametrize("form", FORMATS)
def test_weight_decay_of_a_nonlinear_optimiser(form: str) -> None:
    text = written(document(Adam(b1, b2, eps, inside=True), 1, decay=LAMBDA), form)
    assert "g=∇L+λθ" in text
    assert "A=∇²L+λI" in text
    assert "H[" not in text


def test_potential_with_weight_decay() -> None:
    """The penalised loss, in HTML and in JSON: its gradient is ``g = grad L + lambda theta``."""
    made = document(eom.GradientDescent(), 2, decay=LAMBDA)
    assert "thegradientofL+λ/2‖θ‖²" in written(made, "html")
    assert made.record()["terms"][0]["potential"] == "L + lambda/2 |theta|^2"
    assert made.record()["terms"][2]["potential"] == "5/36 g.Ag"
    assert document(eom.GradientDescent(), 0).record()["terms"][0]["potential"] == "L"
    half = document(eom.GradientDescent(), 0, decay=sympy.Rational(1, 100)).record()
    assert half["terms"][0]["potential"] == "L + 1/200 |theta|^2"
    batches = document(Epoch(2), 0, decay=LAMBDA).record()["terms"][0]["potential"]
    assert batches == "1/2 (L_0 + lambda/2 |theta|^2) + 1/2 (L_1 + lambda/2 |theta|^2)"
    rate = document(eom.HeavyBall(BETA), 0, decay=LAMBDA).record()["terms"][0]["potential"]
    assert rate == "1/(1-beta) (L + lambda/2 |theta|^2)"


CASES = [
    document(eom.HeavyBall(BETA), 3, decay=LAMBDA),
    document(eom.optimisers.SharpnessAware(R), 2),
    document(eom.GradientDescent(), 2, indices=True),
    document(eom.GradientDescent(), 4, xi=True),
    document(Epoch(2), 1, decay=LAMBDA),
    document(Adam(b1, b2, eps), 2),
    document(RMSProp(b2, eps, inside=True), 1, decay=sympy.Rational(1, 10)),
    document(Lion(b1, b2, width=width, weight_decay=lam), 1),
    document(NormalisedGradient(), 2),
]
KNOWN = {"term", "xi", "sum", "D", "grad", "L", "u", "v", "w", "x", "y", "I", "sqrt", "norm", "tanh", "theta", "eta"}


@pytest.mark.parametrize("made", CASES, ids=lambda made: made.method.name)
def test_every_symbol_is_defined(made: Derivation) -> None:
    """Each name on the right of an equation is a name that the lines below define."""
    told = made.meaning("text")
    defined = set(re.findall(r"[A-Za-z]\w*", " ".join(re.split(r" = |\[", left)[0] for left, _ in told)))
    right = " ".join(right for _, right in made._rows("text"))
    used = set(re.findall(r"[A-Za-z]+\d*", re.sub(r"_\{[^}]*\}|_\d+", "", right)))
    pairs = {"Hg": ["H", "g"], "Ag": ["A", "g"]}
    used = {letter for name in used for letter in pairs.get(name, [name])}
    assert {re.sub(r"_\w+$", "", name) for name in used} - KNOWN <= {re.sub(r"_\w+$", "", name) for name in defined}


@pytest.mark.parametrize("made", CASES, ids=lambda made: made.method.name)
def test_records_and_pages_are_well_formed(made: Derivation, valid: Any) -> None:
    record = made.record(command="eomsym derive")
    valid(record)
    assert len(record["terms"]) == made.order + 1
    page = made.html()
    root = ElementTree.fromstring(page[page.index("<body>") : page.index("</html>")])
    assert not re.search(r'(src|href)="|@import|url\(|<script', page)
    assert len([e for e in root.iter() if e.tag.endswith("}math")]) > made.order
    for line in made.mathml().splitlines():
        ElementTree.fromstring(f"<p>{line}</p>")
    latex = made.latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count("$") % 2 == 0
    assert latex.isascii()
    compile(made.python(), "terms.py", "exec")


NUMERICAL = [Adam(b1, b2, eps), Lion(b1, b2, width=width, weight_decay=lam), NormalisedGradient()]


@pytest.mark.parametrize("method", NUMERICAL, ids=lambda method: method.name)
def test_elementwise_python_computes_the_terms(method: Any) -> None:
    """Its numbers against those of the Taylor table."""
    loss = eom.Loss("x**4/4 + x**2*y + exp(y)/3 - sin(x*y)", variables="x y")
    point = np.array([1.25, 0.75])
    numbers = {"beta1": "1/2", "beta2": "3/5", "epsilon": "1/10", "width": "1/2", "lambda": "1/10"}
    space: dict[str, Any] = {}
    exec(document(method, 2).python(), space)
    names = {str(s) for s in document(method, 2).terms.parameters}  # type: ignore[union-attr]
    values = {name + "_" * (name == "lambda"): float(sympy.Rational(numbers[name])) for name in names}
    at = dict(zip(loss.symbols, map(sympy.Float, point), strict=True))
    derivative = sympy.derive_by_array
    first = derivative(loss.expression, loss.symbols)
    second = np.array(derivative(first, loss.symbols).subs(at).tolist(), dtype=float)
    third = np.array(derivative(derivative(first, loss.symbols), loss.symbols).subs(at).tolist(), dtype=float)
    found = space["for_any_loss"](
        point, loss.gradient(point), lambda u: second @ u, lambda u, v: third @ u @ v, **values
    )
    exact = {field: sympy.Rational(numbers[str(s)]) for field in vars(method) for s in [getattr(method, field)]
             if str(s) in numbers}  # fmt: skip
    kernel = eom.compile(loss, 2, method=type(method)(**{**vars(method), **exact}))
    expected = np.array(kernel.decimals(point).tolist(), dtype=float)
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-10)


def test_concrete_terms_fit_too() -> None:
    x, y = sympy.symbols("x y")
    row = (sympy.expand((x + y + 1) ** 5), x)
    made = Derivation(eom.GradientDescent(), 0, None, Concrete("L = x", (x, y), (row,), x))
    wide, narrow = made.latex(width=None), made.latex()
    assert r"\begin{pmatrix}" in wide
    assert r"\left(\mathrm{term}_{0}\right)_{x} &= " in narrow
    assert "pmatrix" not in narrow
    assert "L &= x" in narrow
    assert made.text().splitlines()[-1].startswith("term_0 = [x**5 + 5*x**4*y")
    assert made.record()["loss"]["variables"] == ["x", "y"]


def test_motion() -> None:
    assert motion(0, style_of("text")) == "theta' = -term_0"
    assert motion(1, style_of("latex"), xi=True) == r"\dot{\theta} = -g - \eta \xi_{0}"
    assert motion(0, style_of("unicode"), xi=True) == "θ' = −g"
    ElementTree.fromstring(f"<p>{motion(3, style_of('mathml'))}</p>")
