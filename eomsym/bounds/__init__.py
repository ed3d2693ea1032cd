"""How far the equation of motion is from the discrete optimiser: bounds, predictions and their hypotheses.

Examples
--------
>>> import eomsym as eom
>>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])  # (w1 w2 - 1)**2/2
>>> bound = eom.bounds.distance(loss, [0.5, 0.5], eta=0.05, steps=20, order=1)
>>> bound.proven, f"{bound.value:.1e}"
(True, '2.7e-06')
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
