"""Motion: the discrete optimiser and the differential equation that follows it.

Examples
--------
>>> import eomsym as eom
>>> from eomsym.dynamics import solution
>>> path = solution(eom.Loss("x**2/2", variables="x"), [1.0], time=2.0, order=0)
>>> round(float(path(1.0)[0]), 12)
0.367879441171
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
