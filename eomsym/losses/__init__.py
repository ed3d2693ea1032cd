"""Floor 1: losses as straight-line array programs, from expressions and networks."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
