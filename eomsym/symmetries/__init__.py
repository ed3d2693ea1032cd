"""Symmetries of layers: checked objects, and what flow, equation of motion and optimiser do to their norms."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
