"""The differential equation that gradient descent really follows.

A discrete optimiser with learning rate ``eta`` is followed, to order ``K``, by the equation of motion
``theta' = -(terms[0] + eta terms[1] + ... + eta**K terms[K])``. eomsym derives the counter terms exactly,
compiles them for a given loss, integrates the equation and verifies the order against the running optimiser.

Names are imported when they are first used (PEP 562): ``import eomsym`` is quick and loads neither numba nor
scipy. The list of names is in ``__init__.pyi``.

Examples
--------
>>> import eomsym as eom
>>> str(eom.counter_terms(2)[2])
'1/3 H²g + 1/12 ∇³L[g,g]'
"""

import lazy_loader as lazy

from eomsym._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
__all__ += ["__version__"]
