"""Text for terminals and files that cannot show every character."""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["echo", "spelled"]

#: What is written where a character cannot be.
_GREEK = "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi psi omega"
_SPELLINGS = {
    **dict(zip("αβγδεζηθκλμνξρστφψω", _GREEK.split(), strict=True)),
    **{character: f"^{plain}" for character, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ", "0123456789-T", strict=True)},
    **{character: f"_{plain}" for character, plain in zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)},
    "∇": "D", "‖": "||", "⟨": "<", "⟩": ">", "√": "sqrt ", "Σ": "sum", "−": "-", "–": "-", "—": "-", "…": "...",
    "·": "*", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "∞": "inf", "─": "-", "│": "|",
}  # fmt: skip


def spelled(text: str, encoding: str | None) -> str:
    """Write a text with characters that an encoding has: ``η`` becomes ``eta`` where there is no Greek.

    Parameters
    ----------
    text : str
    encoding : str or None
        Such as ``"cp1252"``; None is taken as ASCII.

    Examples
    --------
    >>> spelled("η² ‖g‖ – no", "cp1252")
    'eta² ||g|| – no'
    >>> spelled("η² ‖g‖ – no", "ascii")
    'eta^2 ||g|| - no'
    """
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return "".join(_one(character, encoding) for character in text)
    except LookupError:
        return spelled(text, "ascii")


def _one(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        return character
    except UnicodeEncodeError:
        return _SPELLINGS.get(character, "?")


def echo(text: str, stream: TextIO | None = None) -> None:
    """Write a text and a line end to a stream, in the characters that it can show.

    Parameters
    ----------
    text : str
    stream : text stream, optional
        stdout by default.
    """
    target = sys.stdout if stream is None else stream
    target.write(spelled(text, getattr(target, "encoding", None) or "utf-8") + "\n")
