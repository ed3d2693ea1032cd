"""Named runs and papers, each a function with its claims; the standard problems; many cases at once."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
