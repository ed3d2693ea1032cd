"""Floor 1b: optimisers as circuits of gradients, array operations and filters.

Each is a frozen object with exact parameters; its `update` writes one step with the elements of a circuit
(:class:`eomsym.taylor.circuit.Circuit`), and all else follows: the running optimiser, its counter terms at every order,
formulas, source. `momentum` holds those that are linear in gradients (they have rooted trees too), `adaptive` Adam and
its kin, `signs` Lion and sign descent, `normalised` steps by the norm of the gradient, `matrix` Muon, `averages`
weights that are averaged beside the run. `filters` are what a circuit does with the past, `parameters` checks of
parameters, `names` the list for commands.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
