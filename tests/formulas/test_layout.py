"""LaTeX that fits: widths against those that TeX gave, and lines that say the same as the formula."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sympy

import eomsym as eom
from eomsym.formulas.elementwise import elementwise_terms
from eomsym.formulas.layout import ARTICLE, aligned, broken, latex_width
from eomsym.optimisers.adaptive import Adam
from eomsym.optimisers.normalised import NormalisedGradient
from eomsym.optimisers.signs import Lion

BETA = sympy.Symbol("beta")
b1, b2, eps, width = sympy.symbols("beta1 beta2 epsilon width", positive=True)

#: Formulas, and their widths in points as pdfTeX sets them in display style at 10 points.
WIDTHS = {
    r"\tfrac{1}{4} H^{3} g + \tfrac{1}{12} H \nabla^{3} L[g, g] + \tfrac{1}{12} \nabla^{3} L[g, H g]": 168.3,
    (
        r"\frac{1+4 \beta+\beta^{2}}{3 \left(1-\beta\right)^{5}} H^{2} g + \frac{1+10 \beta+\beta^{2}}{12"
        r" \left(1-\beta\right)^{5}} \nabla^{3} L[g, g]"
    ): 183.2,
    (
        r"\frac{1}{12 \left(1-\beta\right)^{7}} \left(3 \left(1+\beta\right) \left(1+8 \beta+\beta^{2}\ri"
        r"ght) H^{3} g + \left(1+\beta\right) \left(1+16 \beta+\beta^{2}\right) H \nabla^{3} L[g, g] + \l"
        r"eft(1+\beta\right) \left(1+28 \beta+\beta^{2}\right) \nabla^{3} L[g, H g] + 6 \beta \left(1+\be"
        r"ta\right) \nabla^{4} L[g, g, g]\right)"
    ): 610.8,
    r"\frac{1-\beta+2 \beta^{2}}{2 \left(1-\beta\right)^{3}} H g": 68.0,
    r"\frac{g}{s}": 7.5,
    (
        r"\frac{1}{s} \left(\frac{\beta_{1}-\beta_{2}}{\left(1-\beta_{1}\right) \left(1-\beta_{2}\right)}"
        r" + \frac{\epsilon \left(1+\beta_{2}\right)}{2 \left(1-\beta_{2}\right) s}\right) H\left[\frac{g"
        r"}{s}\right]"
    ): 190.4,
    r"\frac{\left(1+2 \beta_{1}-\beta_{2}\right) p}{2 \left(1-\beta_{2}\right) width} H[t]": 89.9,
    r"\tfrac{1}{12} g^{\mathsf{T}} H^{2} g + \tfrac{1}{48} \nabla^{3} L[g, g, g]": 111.9,
    r"- \sqrt{x} + \frac{x^{2} y^{3}}{2} + e^{- y} \sin{\left(x \right)}": 113.4,
    r"\dot{\theta} = -\left(\mathrm{term}_{0} + \eta \mathrm{term}_{1}\right)": 103.2,
    r"a < b \cdot c": 34.5,
}
DOCUMENTS: dict[str, Any] = {
    "gradient descent 5": lambda: eom.counter_terms(5),
    "heavy ball 3": lambda: eom.counter_terms(3, method=eom.HeavyBall(BETA)),
    "heavy ball 5": lambda: eom.counter_terms(5, method=eom.HeavyBall(BETA)),
    "Nesterov 4": lambda: eom.counter_terms(4, method=eom.Nesterov(BETA)),
    "sharpness-aware 4": lambda: eom.counter_terms(4, method=eom.optimisers.SharpnessAware(sympy.Symbol("r"))),
    "Adam 2": lambda: elementwise_terms(Adam(b1, b2, eps), 2),
    "Lion 2": lambda: elementwise_terms(Lion(b1, b2, width=width), 2),
    "normalised 2": lambda: elementwise_terms(NormalisedGradient(eps), 2),
}


@pytest.mark.parametrize("formula", WIDTHS)
def test_widths_are_a_little_more_than_those_of_tex(formula: str) -> None:
    assert WIDTHS[formula] <= latex_width(formula) <= 1.08 * WIDTHS[formula] + 2


@pytest.mark.parametrize("points", [345.0, 469.0])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_line_fits(name: str, points: float) -> None:
    lines = DOCUMENTS[name]().format("latex", width=points).split(" \\\\\n")
    left = latex_width(r"\mathrm{term}_{0}")
    assert all(latex_width(line) + left * line.startswith("&") <= points for line in lines)
    for line in lines:
        assert line.count("{") == line.count("}")
        assert line.count(r"\left") == line.count(r"\right")
    text = "".join(lines)
    assert len(re.findall(r"\\bigg?l", text)) == len(re.findall(r"\\bigg?r", text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_say_what_the_formula_says(name: str) -> None:
    def bare(text: str) -> str:
        return re.sub(r"\\\\\n|&|\\quad|\{\}|\\left|\\right|\\bigg?[lr]|\s", "", text)

    document = DOCUMENTS[name]()
    whole, lines = bare(document.format("latex")), bare(document.format("latex", width=ARTICLE))
    assert whole == lines


def test_a_fraction_comes_apart_when_it_must() -> None:
    wide = r"\frac{" + " + ".join(f"a_{{{k}}}" for k in range(40)) + "}{b}"
    first, *rest = broken(wide, 200)
    assert first.startswith(r"\frac{1}{b} \biggl(a_{0} + ")
    assert rest[-1].endswith(r"a_{39}\biggr)")
    assert all(line.startswith(r"\quad {}+ a_") for line in rest)
    assert max(map(latex_width, [first, *rest])) <= 200


def test_what_cannot_be_broken_stays_whole() -> None:
    assert broken("x" * 200, 100) == ["x" * 200]
    assert broken("a + b", None) == ["a + b"]
    assert broken(r"L[g - h] - {a - b}", 30) == ["L[g - h]", r"\quad {}- {a - b}"]
    assert aligned([("x", "-a - b"), ("y", "c")], 40).splitlines() == [r"x &= -a \\", r"&\quad {}- b \\", "y &= c"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs LaTeX")
@pytest.mark.parametrize("points", [345.0, 469.0])
def test_tex_finds_nothing_too_wide(points: float, tmp_path: Path) -> None:
    body = "\n\n".join(document().latex(width=points) for document in DOCUMENTS.values())
    page = rf"\documentclass{{article}}\usepackage{{amsmath}}\allowdisplaybreaks\textwidth{points}pt"
    (tmp_path / "page.tex").write_text(f"{page}\n\\begin{{document}}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    output = run.stdout.decode(errors="replace")
    assert run.returncode == 0, output[-2000:]
    assert not re.findall(r"Overfull \\hbox.*", output)
