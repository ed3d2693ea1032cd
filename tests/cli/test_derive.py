"""The command ``derive`` and the documents that it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy
from click.testing import CliRunner, Result

import eomsym as eom
from eomsym.cli import main
from eomsym.exact.concrete import apply_term
from eomsym.exact.trees import Tree
from eomsym.formulas.documents import Derivation
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.linear import LinearMultistep, RungeKutta, SharpnessAware

LOSS = ["--loss", "(1-x)**2/2 + (y-x^2)**2/2", "--variables", "x y"]


def derive(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["derive", *arguments])


def text(*arguments: str) -> str:
    run = derive(*arguments)
    assert run.exit_code == 0, run.stderr
    assert run.stderr == "" or run.stderr.startswith("on a quadratic the series converges for eta*lambda < ")
    return run.stdout


def test_text() -> None:
    assert text("--order", "4").startswith(f"{eom.counter_terms(4)}\nwith θ' = −(term_0 + η term_1 + ")
    assert text("--order", "1", "--weight-decay", "lambda") == (
        "term_0 = g\nterm_1 = 1/2 Ag\nwith θ' = −(term_0 + η term_1), θ the parameters, η the learning rate\n"
        "     g = ∇L + λ θ, the gradient\n     A = ∇²L + λ I, the Hessian\n     λ, the weight decay\n"
    )
    assert text("--order", "2", "--xi", "--indices") == (
        "ξ₀ = 1/2 L_{i j} L_{j}\nξ₁ = 1/3 L_{i j} L_{j k} L_{k} + 1/12 L_{i j k} L_{j} L_{k}\n"
        "with θ' = −g − η (ξ₀ + η ξ₁), θ the parameters, η the learning rate\n"
        "     L_{i j}, the partial derivatives of L; repeated indices are summed over\n"
    )


HALF = Fraction(1, 2)
METHODS = [
    (["heavy-ball", "--beta", "beta"], HeavyBall(sympy.Symbol("beta"))),
    (["heavy-ball", "--beta", "0.9"], HeavyBall(Fraction(9, 10))),
    (["heavy-ball", "--beta", "1 - 1/k"], HeavyBall(1 - 1 / sympy.Symbol("k"))),
    (["nesterov", "--beta", "1/2"], eom.Nesterov(Fraction(1, 2))),
    (["sam", "--radius", "r"], SharpnessAware(sympy.Symbol("r"))),
    (["multistep", "--rho", "1, -1, 0", "--sigma", "3/2, -1/2"], LinearMultistep([1, -1, 0], [3 * HALF, -HALF])),
    (["runge-kutta", "--tableau", "0, 0; 1/2, 0", "--weights", "0, 1"], RungeKutta([[0, 0], [HALF, 0]], [0, 1])),
    (["optimistic"], eom.optimisers.OptimisticGradient()),
    (["proximal"], eom.optimisers.ProximalPoint()),
    (["extragradient"], eom.optimisers.Extragradient()),
]  # fmt: skip


@pytest.mark.parametrize("arguments, method", METHODS, ids=[" ".join(arguments) for arguments, _ in METHODS])
def test_methods(arguments: list[str], method: eom.GradientDescent) -> None:
    assert text("--order", "2", "--method", *arguments).startswith(f"{counter_terms(2, method=method)}\nwith θ' = ")


def test_epoch() -> None:
    assert "1/8 H₀g₁" in text("--method", "epoch", "--batches", "2", "--order", "1")


def test_latex() -> None:
    out = text("--order", "3", "--method", "heavy-ball", "--beta", "beta", "--format", "latex", *LOSS)
    assert out.count(r"\begin{align*}") == out.count(r"\end{align*}") == 2
    assert out.count("&=") >= 8
    assert out.count("{") == out.count("}")
    # nothing but amsmath
    assert set(re.findall(r"\\(begin|end)\{(\w+\*?)\}", out)) <= {
        (w, e) for w in ("begin", "end") for e in ("align*", "pmatrix")
    }


def test_json(valid: Any) -> None:
    record = json.loads(text("--order", "3", "--format", "json", "--weight-decay", "1/3", *LOSS))
    valid(record)
    assert record["command"].startswith("eomsym derive --order 3 --format json --weight-decay 1/3 --loss '(1-x)**2/2")
    for k, term in enumerate(counter_terms(3)):
        trees = record["terms"][k]["trees"]
        assert {Tree.parse(t["tree"]): sympy.Rational(t["coefficient"]) for t in trees} == dict(term)
        assert all(Tree.from_level_sequence(t["level_sequence"]).symmetry == t["symmetry"] for t in trees)
    assert [entry["is_gradient"] for entry in record["terms"]] == [True, True, False, False]
    x, y = sympy.symbols("x y")
    found = sympy.Matrix([sympy.sympify(e) for e in record["loss"]["terms"][0]])
    loss = (1 - x) ** 2 / 2 + (y - x**2) ** 2 / 2 + (x**2 + y**2) / 6
    assert (found - sympy.Matrix([loss]).jacobian([x, y]).T).expand() == sympy.zeros(2, 1)


def test_python_is_exact_and_runs() -> None:
    space: dict[str, object] = {}
    exec(text("--order", "3", "--method", "heavy-ball", "--beta", "beta", "--format", "python", *LOSS), space)
    half = Fraction(1, 2)
    found = space["coefficients"](half)  # type: ignore[operator]
    expected = counter_terms(3, method=HeavyBall(half))
    assert [{t: Fraction(str(v)) for t, v in term.items()} for term in expected] == [
        {Tree.parse(t): v for t, v in term.items()} for term in found
    ]
    field = eom.modified_field(eom.Loss(LOSS[1], variables="x y"), 3, method=HeavyBall(half))
    at = {"x": Fraction(2, 3), "y": Fraction(-1, 5)}
    values = space["terms"](**at, beta=half)  # type: ignore[operator]
    for k in range(4):
        exact = field.terms[k].subs(
            {sympy.Symbol(s): sympy.Rational(v.numerator, v.denominator) for s, v in at.items()}
        )
        assert [Fraction(str(x)) for x in exact] == values[k]


def test_python_with_functions() -> None:
    source = text(
        "--order", "1", "--loss", "exp(x)", "--variables", "x", "--format", "python", "--weight-decay", "lambda"
    )
    space: dict[str, object] = {}
    exec(source, space)
    (first,), (second,) = space["terms"](0, 3)  # type: ignore[operator]
    assert (first, second) == (1, 2)  # g = e^x + 3 x, and H g / 2 = (1 + 3) 1 / 2


@pytest.mark.parametrize("decay", ["1/10", "lambda", "lambda/2"])
def test_weight_decay_of_a_loss(decay: str) -> None:
    """The same as writing the penalty into the loss; a symbol rides along as a frozen parameter."""
    plain = text("--order", "2", "--weight-decay", decay, *LOSS).splitlines()[-3:]
    value = sympy.sympify(decay.replace("lambda", "a"))
    x, y = sympy.symbols("x y")
    loss = (1 - x) ** 2 / 2 + (y - x**2) ** 2 / 2 + value * (x**2 + y**2) / 2
    gradient = [sympy.diff(loss, v) for v in (x, y)]
    for line, term in zip(plain, counter_terms(2), strict=True):
        found = sympy.sympify(line.split(" = ")[1].replace("lambda", "a"))
        assert [sympy.expand(f - e) for f, e in zip(found, apply_term(term, gradient, (x, y)), strict=True)] == [0, 0]


def test_html_is_one_well_formed_page() -> None:
    page = text("--order", "3", "--method", "nesterov", "--beta", "1/3", "--format", "html", *LOSS)
    assert not re.search(r'(src|href)="|@import|url\(|<script', page)
    body = page[page.index("<body>") : page.index("</html>")]
    root = ElementTree.fromstring(body)
    pictures = [e for e in root.iter() if e.tag.endswith("}svg")]
    assert len(pictures) == 4
    assert sum(e.tag.endswith("}circle") for e in root.iter()) == 1 + 2 + 2 * 3 + 4 * 4
    assert "This is not a gradient for every loss" in page


def test_html_escapes_names() -> None:
    terms = counter_terms(1, method=RungeKutta([[0]], [1], label="<b>&"))
    page = Derivation(terms.method, 1, terms).html()
    assert "<title>Counter terms of &lt;b&gt;&amp;</title>" in page


def test_output_file(tmp_path: Path) -> None:
    path = tmp_path / "terms.html"
    run = derive("--order", "2", "--format", "html", "--output", str(path))
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", f"wrote {path}\n")
    assert path.read_text(encoding="utf-8") == text("--order", "2", "--format", "html")
    assert [p.name for p in tmp_path.iterdir()] == ["terms.html"]


def test_stdout_is_utf8_everywhere() -> None:
    command = [sys.executable, "-m", "eomsym", "derive", "--order", "1"]
    run = subprocess.run(command, capture_output=True, check=True)
    assert run.stdout.decode("utf-8").startswith("term_0 = g\nterm_1 = 1/2 Hg\nwith θ' = ")


def test_terminals_without_greek_letters() -> None:
    command = [sys.executable, "-m", "eomsym", "derive", "--order", "2", "--method", "heavy-ball", "--beta", "beta"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    run = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert "term_1 = (1+beta)/(2(1-beta)³) Hg" in run.stdout.decode("cp1252")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--order", "-1"], "order must be an integer from 0 to 19, got -1"),
        (["--order", "20"], "order must be an integer from 0 to 19, got 20"),
        (["--method", "heavy-ball"], "--method heavy-ball needs --beta, such as --beta 9/10"),
        (["--beta", "1/2"], "--method gd does not take --beta"),
        (["--method", "heavy-ball", "--beta", "1"], "beta = 1 keeps all momentum"),
        (["--method", "heavy-ball", "--beta", "1/"], "cannot read the expression"),
        (["--method", "multistep", "--rho", "1,-2", "--sigma", "1"], "inconsistent: rho(1) = -1"),
        (["--method", "runge-kutta", "--tableau", "0", "--weights", "0"], "sigma(1) = 0"),
        (["--method", "epoch", "--batches", "two"], "--batches 'two': expected an integer"),
        (["--method", "epoch", "--batches", "2", *LOSS], "one loss for each of 2 batches"),
        (["--loss", "x**2"], "--loss needs --variables"),
        (["--loss", "x*z", "--variables", "x"], "unknown name 'z'"),
        (["--format", "html", "--xi"], "--xi is for --format text, latex and mathml"),
        (["--format", "json", "--indices"], "are for --format text and latex"),
        (["--method", "adam", "--xi"], "are for formulas on trees, which Adam, beta1 = 9/10"),
        (["--width", "100"], "--width 100: expected a width in points from 150 on, such as 345, or 0"),
        (["--width", "nan"], "expected a width in points from 150 on"),
        (["--output", "/dev/null/terms.txt"], "cannot write /dev/null/terms.txt: /dev/null is no folder"),
        (["--weight-decay", "-1", *LOSS], "weight_decay must be a finite number >= 0"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    run = derive(*arguments)
    assert run.exit_code == 2
    assert run.stdout == ""
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_unknown_format_and_method() -> None:
    assert "'tex' is not one of 'text', 'latex'" in derive("--format", "tex").stderr
    assert derive("--method", "newton").exit_code == 2
