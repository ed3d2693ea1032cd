"""Models from elsewhere: losses written in JAX and in PyTorch, opaque training steps, and a monitor of training.

Nothing here imports a framework until it is asked for one.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
