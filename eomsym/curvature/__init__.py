"""Curvature: enclosures of the Hessian and of higher derivatives, over balls around a point."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
