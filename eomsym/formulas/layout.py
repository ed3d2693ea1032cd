r"""LaTeX that fits on a page: how wide a formula is, and where it breaks.

The width is that of Computer Modern at 10 points, as TeX would set it in display style, from the widths of the glyphs
and TeX's rules for spaces. It is a little more than TeX's own, so that what fits here fits there.

References
----------
D. E. Knuth, *The TeXbook*, Addison-Wesley 1984, chapter 18 and appendix G.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from eomsym.errors import InternalError

__all__ = ["ARTICLE", "aligned", "broken", "latex_width"]

#: Width of the text in the class article at 10 points.
ARTICLE = 345.0
_QUAD = 10.0
_SCRIPT = 0.8  # the glyphs of seven points are wider than seven tenths
_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (5.3, 4.3, 4.3, 5.2, 4.7, 6.0, 5.1, 5.8, 3.4, 4.7, 5.5, 3.2, 8.8, 6.0, 4.8, 5.0, 4.8, 4.8, 4.7, 3.6, 5.7, 5.2,
         7.4, 5.7, 5.3, 5.1, 7.5, 8.1, 7.9, 8.6, 8.0, 7.8, 7.9, 9.1, 5.2, 6.5, 9.2, 6.8, 10.8, 9.1, 7.9, 7.8, 7.9, 7.7,
         6.7, 7.2, 7.9, 8.1, 10.8, 9.1, 8.0, 7.5),
        strict=True,
    )
)  # fmt: skip
_SIGNS = {"(": 3.9, ")": 3.9, "[": 2.8, "]": 2.8, "|": 2.8, ".": 2.8, "/": 5.0, "'": 2.5, "!": 2.8, "~": 3.3}
_NAMES = {
    "nabla": 8.4, "partial": 5.9, "langle": 3.9, "rangle": 3.9, "lVert": 5.0, "rVert": 5.0, "Vert": 5.0, "infty": 10.0,
    "sum": 17.0, "quad": 10.0, "dots": 13.4, "ldots": 13.4, "lvert": 2.8, "rvert": 2.8, ",": 1.7, " ": 3.3, ";": 2.8,
    "qquad": 20.0, "alpha": 6.4, "beta": 6.2, "gamma": 5.7, "delta": 4.8, "epsilon": 4.1, "varepsilon": 4.7,
    "iota": 3.6, "xi": 4.8, "theta": 5.0, "Theta": 7.8, "Gamma": 6.3, "Delta": 8.4, "psi": 6.9, "omega": 6.6,
    "lambda": 5.9, "rho": 5.2, "limits": 0, "displaystyle": 0, "left": 0, "right": 0, "big": 0, "bigl": 0, "bigr": 0,
    "biggl": 3.6, "biggr": 3.6, "top": 7.8,
}  # fmt: skip
_BINARY = {"+": 12.3, "-": 12.3, "cdot": 7.3, "times": 12.3, "odot": 12.3, "circ": 9.5}
_RELATIONS = {"=": 13.4, "<": 13.4, ">": 13.4, "le": 13.4, "leq": 13.4, "ge": 13.4, "to": 15.6, "approx": 13.4}
_UPRIGHT = {
    "exp": 16.5, "tanh": 22.0, "sin": 12.5, "cos": 14.0, "log": 13.0, "cosh": 20.0, "sinh": 18.0, "atan": 21.0,
}  # fmt: skip
_FRACTIONS = {"frac": 1.0, "dfrac": 1.0, "tfrac": _SCRIPT}
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[^\\\s]|\s+", re.S)
#: After these a sign belongs to what follows it.
_OPENING = {"", "(", "[", "{", "=", ",", "&", r"\left", r"\bigl", r"\biggl", r"\langle", r"\lVert", "^", "_", "|"}

#: These are read together with what belongs to them.
_WHOLE = {"{", "^", "_", r"\left"}


def latex_width(formula: str) -> float:
    r"""How wide TeX would set a formula, in points.

    Parameters
    ----------
    formula : str
        LaTeX with amsmath, without environments; ``&`` is nothing.

    Returns
    -------
    float

    Examples
    --------
    >>> round(latex_width(r"\tfrac{1}{2} H g"))
    21
    """
    return _Reader(formula).until("")


class _Reader:
    """Tokens of a formula, read from left to right."""

    def __init__(self, formula: str) -> None:
        self.tokens = _TOKEN.findall(formula)
        self.place = 0

    def next(self) -> str:
        """The next token that is not a space."""
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if not token.isspace():
                return str(token)
        return ""

    def peek(self) -> str:
        place, token = self.place, self.next()
        self.place = place
        return token

    def argument(self, script: float = 1.0) -> float:
        token = self.next()
        return self.until("}", script) if token == "{" else self.atom(token, script, "(")

    def until(self, end: str, script: float = 1.0) -> float:
        """Width up to the token `end`."""
        total, before = 0.0, ""
        while (token := self.next()) and token != end:
            total += self.atom(token, script, before)
            before = "}" if token in _WHOLE else token
        return total

    def atom(self, token: str, script: float, before: str) -> float:
        """Width of what begins with this token."""
        name = token.lstrip("\\")
        if token == "{":
            return self.until("}", script)
        if token in "^_":
            width = self.argument(_SCRIPT) + 0.5
            other = {"^": "_", "_": "^"}[token]
            if self.peek() == other:  # above each other
                self.next()
                width = max(width, self.argument(_SCRIPT) + 0.5)
            return width
        if token == r"\left":
            return self.bracketed(script)
        if name in _FRACTIONS:
            inner = min(script, _FRACTIONS[name])
            return max(self.argument(inner), self.argument(inner)) + 2.5
        if name in ("dot", "bar", "hat"):
            return self.argument(script)
        if name == "sqrt":
            return self.argument(script) + 8.5
        if token == r"\operatorname" or name in ("mathrm", "mathsf", "mathbf", "text", "mathit"):
            return self.argument(script) * 1.02 + (1.7 if token == r"\operatorname" else 0)
        return self.sign(token, name, script, before)

    def sign(self, token: str, name: str, script: float, before: str) -> float:
        if name in _BINARY and token[0] in "+-\\":
            return (8.0 if before in _OPENING or script < 1 else _BINARY[name]) * script
        if name in _RELATIONS:
            return (8.0 if script < 1 else _RELATIONS[name]) * script
        if token == ",":
            return 2.8 if script < 1 else 4.5
        if token in "&}{":
            return 0.0
        if token.isdigit():
            return 5.05 * script
        known = _NAMES if token.startswith("\\") else _LETTERS | _SIGNS
        return known.get(name, _UPRIGHT.get(name, 6.0)) * script

    def bracketed(self, script: float) -> float:
        r"""``\left( … \right)``: brackets as high as what they hold, and thin spaces around."""
        low, tall = (4.6, 7.4) if self.next() == "(" else (3.0, 5.4)
        start, total, before = self.place, 0.0, ""
        while (token := self.next()) and token != r"\right":
            total += self.atom(token, script, before)
            before = "}" if token in _WHOLE else token
        self.next()
        high = any(word in ("\\frac", "\\sum", "\\dfrac") for word in self.tokens[start : self.place])
        return total + 2 * (tall if high and script == 1 else low * script) + 3.4 * script


# breaking -------------------------------------------------------------------------------------------------------------


def broken(formula: str, width: float | None = ARTICLE, before: float = 0.0) -> list[str]:
    r"""Break a formula into lines that fit, before a plus or a minus.

    Sums come apart first; brackets come apart where a summand is too wide by itself, and fractions where their
    numerator is. A line after the first begins with ``\quad {}``.

    Parameters
    ----------
    formula : str
        LaTeX of a sum.
    width : float or None
        Width of the text in points: 345 in the class article, 469 in 10-point article with margins of an inch. None
        leaves the formula as it is.
    before : float
        Width of what stands in front of the formula.

    Returns
    -------
    list of str

    Examples
    --------
    >>> broken("a + b - c", 35)
    ['a + b', '\\quad {}- c']
    >>> broken(r"\frac{a + b - c}{d}", 40)
    ['\\frac{1}{d} \\biggl(a + b', '\\quad {}- c\\biggr)']
    """
    room = float("inf") if width is None else width - before
    if latex_width(formula) <= room:
        return [formula]
    lines: list[str] = []
    line, used = "", 0.0
    for fresh, piece in _pieces(formula, room - _QUAD):
        more = latex_width(f"x {piece}") - _LETTERS["x"]  # as a sign between two things
        if line and (fresh or used + more > room):
            lines.append(line.rstrip())
            line, used, piece = r"\quad {}" + piece.lstrip(), _QUAD + more, ""
        line, used = line + piece, used + (more if piece else 0)
    return [*lines, line.rstrip()]


def _pieces(formula: str, limit: float) -> Iterator[tuple[bool, str]]:
    """Parts of a formula that stay whole, and whether one begins a line; but for the first, each begins with a sign."""
    for part in _summands(formula):
        if latex_width(part) <= limit:
            yield False, part
        else:
            opened = list(_opened(part, limit))
            # its parts are easier to follow from the beginning of a line
            yield from ((fresh or k == 0 < len(opened) - 1, piece) for k, (fresh, piece) in enumerate(opened))


def _summands(formula: str) -> list[str]:
    """Cut a formula before each plus and minus that is not inside of anything."""
    parts, depth, before = [""], 0, ""
    for token in _TOKEN.findall(formula):
        closes = token in ("}", "]", r"\right", r"\rangle", r"\bigr", r"\biggr")
        depth -= closes
        if token in "+-" and depth == 0 and before not in _OPENING:
            parts.append("")
        parts[-1] += token
        depth += token in ("{", "[", r"\left", r"\langle", r"\bigl", r"\biggl")
        before = before if token.isspace() else token
    return parts


def _opened(part: str, limit: float) -> Iterator[tuple[bool, str]]:
    """Break inside of the widest bracket, or inside of a fraction."""
    whole = max(_groups(part), key=lambda place: latex_width(part[place[0] : place[1]]), default=None)
    if whole is None:
        yield False, part
        return
    start, end = whole
    front, inner, back = part[:start], part[start:end], part[end:]
    if inner.startswith(r"\left"):
        words, left, right = inner[6:-7], inner[5], inner[-1]
        size = "bigg" if "frac" in words else "big"
        first, *rest = _pieces(words, limit)
        left, right = rf"{front}\{size}l{left}", rf"\{size}r{right}{back}"
    else:  # \frac{above}{below}
        above, below = _arguments(inner)
        first, *rest = _pieces(above, limit)
        left, right = rf"{front}\frac{{1}}{{{below}}} \biggl(", rf"\biggr){back}"
    if not rest:
        yield False, part
        return
    (begins, last) = rest[-1]
    for fresh, piece in ((False, left + first[1]), *rest[:-1], (begins, last.rstrip() + right)):
        if latex_width(piece) > limit:  # the ends have grown
            yield from ((fresh and k == 0, found) for k, (_, found) in enumerate(_opened(piece, limit)))
        else:
            yield fresh, piece


def _groups(part: str) -> Iterator[tuple[int, int]]:
    r"""Where a ``\left … \right`` or a ``\frac`` stands that is not inside of anything."""
    depth, place, start, last = 0, 0, 0, ""
    for token in _TOKEN.findall(part):
        if token == r"\left" and depth == 0:
            start = place
        depth += token in ("{", r"\left")
        depth -= token in ("}", r"\right")
        if token == r"\frac" and depth == 0:
            yield place, _end_of_fraction(part, place)
        if last == r"\right" and depth == 0:
            yield start, place + len(token)
        last, place = token, place + len(token)


def _end_of_fraction(part: str, place: int) -> int:
    end = place + len(r"\frac")
    for _ in range(2):
        end = part.index("{", end)
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(part[end], 0)
            end += 1
            if depth == 0:
                break
    return end


def _arguments(fraction: str) -> tuple[str, str]:
    """What stands above and below in a ``\\frac{above}{below}``."""
    depth, start = 0, len(r"\frac")
    for index in range(start, len(fraction)):
        depth += {"{": 1, "}": -1}.get(fraction[index], 0)
        if depth == 0:
            return fraction[start + 1 : index], fraction[index + 2 : -1]
    raise InternalError(f"a fraction without an end: {fraction}")


def aligned(rows: Iterable[tuple[str, str]], width: float | None = ARTICLE) -> str:
    r"""Write equations as the lines of ``align``, each broken where it does not fit.

    Parameters
    ----------
    rows : iterable of (str, str)
        Left and right sides.
    width : float or None
        As for :func:`broken`.

    Examples
    --------
    >>> print(aligned([("x", "a + b - c"), ("y", "d")], 50))
    x &= a + b \\
    &\quad {}- c \\
    y &= d
    """
    listed = list(rows)
    before = max((latex_width(left) for left, _ in listed), default=0.0) + _RELATIONS["="]
    lines = []
    for left, right in listed:
        first, *rest = broken(right, width, before)
        lines += [f"{left} &= {first}", *(f"&{line}" for line in rest)]
    return " \\\\\n".join(lines)
