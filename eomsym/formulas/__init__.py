"""Formulas: everything that prints mathematics, in text, LaTeX, MathML and SVG, for every loss at once."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
