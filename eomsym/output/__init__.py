"""What results look like: figures, tables, JSON records and pages, for every kind of result."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
