"""A drawing in SVG that shows itself in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eomsym.errors import InputError
from eomsym.files import write

__all__ = ["Picture"]


@dataclass(frozen=True)
class Picture:
    """A drawing.

    Parameters
    ----------
    svg : str
        A complete ``svg`` element; ``currentColor`` in it is the colour of the text around.

    Examples
    --------
    >>> picture = Picture('<svg xmlns="http://www.w3.org/2000/svg"/>')
    >>> picture.save("tree.png")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: cannot write tree.png: this picture is written as .svg; try tree.svg
    """

    svg: str

    def save(self, path: str | Path) -> Path:
        """Write the picture, whole or not at all.

        Raises
        ------
        InputError
            If the suffix is not ``.svg``, or the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".svg":
            better = target.with_suffix(".svg") if target.name else "picture.svg"
            raise InputError(f"cannot write {target}: this picture is written as .svg; try {better}")
        return write(target, self.svg + "\n")

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return '<Picture; .save("picture.svg") writes it>'
