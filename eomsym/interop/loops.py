"""Monitors of loops in PyTorch and in JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from eomsym.errors import InputError, MissingDependencyError
from eomsym.interop.monitor import Monitor
from eomsym.interop.preconditioners import divides, has_momentum, of_optax, of_torch
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import GradientDescent

__all__ = ["OptaxMonitor", "TorchMonitor", "watch_optax", "watch_torch"]


# PyTorch ------------------------------------------------------------------------------------------------------------


class TorchMonitor(Monitor):
    """A monitor of a loop in PyTorch; see :func:`watch_torch`."""

    def step(self) -> None:
        """Call after each ``optimizer.step()``."""
        self._step()


def watch_torch(
    module: Any,
    optimiser: Any,
    closure: Callable[[], Any],
    *,
    every: int = 200,
    method: Method | None = None,
    normalised: Sequence[str] | None = None,
    writer: Any = None,
    live: bool = False,
) -> TorchMonitor:
    """Monitor a loop with an optimiser of ``torch.optim``.

    A look takes one gradient and a few products with the Hessian, by double backward. It leaves gradients, buffers and
    random numbers as they were.

    Parameters
    ----------
    module : torch.nn.Module
    optimiser : torch.optim.Optimizer
        Learning rate and weight decay are those of its first group.
    closure : callable
        Gives the loss, without ``backward()``: of the batch, or of data of your choice.
    every : int
        Steps from one look to the next.
    method : Method, optional
        By default read off the optimiser: SGD with or without momentum, and Adam, AdamW and RMSprop with what they
        divide by, from their own state; no limits are shown for others.
    normalised : sequence of str, optional
        Names of weights before a normalisation; by default those of linear and convolutional layers that stand just
        before a batch normalisation.
    writer : object with ``add_scalar(tag, value, step)``, optional
        Such as ``torch.utils.tensorboard.SummaryWriter``.
    live : bool
        Draw the figure again at each look.

    Returns
    -------
    TorchMonitor

    Raises
    ------
    InputError
        A name is unknown, or a layer is not scale-invariant.

    Examples
    --------
    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> from eomsym.interop import watch_torch
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Linear(3, 1).double()
    >>> x, y = torch.randn(8, 3).double(), torch.randn(8, 1).double()
    >>> def closure():
    ...     return torch.nn.functional.mse_loss(module(x), y)
    >>> optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    >>> monitor = watch_torch(module, optimiser, closure, every=5)
    >>> for _ in range(10):
    ...     optimiser.zero_grad()
    ...     closure().backward()
    ...     optimiser.step()
    ...     monitor.step()
    >>> [look.step for look in monitor.looks], monitor.looks[0].limit
    ([5, 10], 2.0)
    """
    group = optimiser.param_groups[0]
    coupled = type(optimiser).__name__ not in {"AdamW"}
    names = _before_normalisation(module) if normalised is None else normalised
    view = TorchView(module, closure)
    return TorchMonitor(
        view,
        method or _method_of(optimiser),
        lambda step: float(optimiser.param_groups[0]["lr"]),
        decay=float(group.get("weight_decay", 0.0)) if coupled else 0.0,
        every=every,
        normalised=names,
        writer=writer,
        live=live,
        preconditioner=lambda: of_torch(optimiser, list(view.named.values())) if method is None else None,
    )


def _method_of(optimiser: Any) -> Method | None:
    """Ours for SGD; None for what has no linear step."""
    group = optimiser.param_groups[0]
    if type(optimiser).__name__ != "SGD" or group["dampening"] != 0:
        return None
    beta = Fraction(str(group["momentum"]))
    if beta == 0:
        return GradientDescent()
    return Nesterov(beta) if group["nesterov"] else HeavyBall(beta)


def _before_normalisation(module: Any) -> list[str]:
    import torch

    linear = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    found = []
    for parent, inner in module.named_modules():
        children = list(inner.named_children())
        for (name, first), (_, second) in pairwise(children):
            if isinstance(first, linear) and isinstance(second, torch.nn.modules.batchnorm._BatchNorm):
                found.append(".".join(filter(None, [parent, name, "weight"])))
    return found


class TorchView:
    """Vectors of a module."""

    def __init__(self, module: Any, closure: Callable[[], Any]) -> None:
        self.module, self.closure = module, closure
        self.named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        ends = np.cumsum([0, *(p.numel() for p in self.named.values())]).tolist()
        self._places = {name: slice(a, b) for name, a, b in zip(self.named, ends, ends[1:], strict=False)}

    def places(self) -> dict[str, slice]:
        """As in `View`."""
        return self._places

    def _flat(self, tensors: Sequence[Any]) -> np.ndarray:
        parts = [
            np.zeros(p.numel()) if t is None else t.detach().cpu().double().numpy().ravel()
            for t, p in zip(tensors, self.named.values(), strict=True)
        ]
        return np.concatenate(parts)

    def weights(self) -> np.ndarray:
        """As in `View`."""
        return self._flat(list(self.named.values()))

    def slope(self) -> tuple[float, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """As in `View`."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        buffers = [
            (part, name, b) for part in self.module.modules() for name, b in part._buffers.items() if b is not None
        ]
        for part, name, buffer in buffers:  # the look changes copies
            part._buffers[name] = buffer.clone()
        parameters = list(self.named.values())
        with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH):  # the one with second derivatives
            loss = self.closure()
            slopes = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        for part, name, buffer in buffers:
            part._buffers[name] = buffer

        def product(v: np.ndarray) -> np.ndarray:
            along = [
                torch.as_tensor(v[place].reshape(p.shape), dtype=p.dtype, device=p.device)
                for place, p in zip(self._places.values(), parameters, strict=True)
            ]
            pairs = [(s, a) for s, a in zip(slopes, along, strict=True) if s is not None and s.requires_grad]
            found = torch.autograd.grad(
                [s for s, _ in pairs], parameters, [a for _, a in pairs], retain_graph=True, allow_unused=True
            )
            return self._flat(found)

        return float(loss.detach()), self._flat(slopes), product


# JAX ----------------------------------------------------------------------------------------------------------------


class OptaxMonitor(Monitor):
    """A monitor of a loop in JAX; see :func:`watch_optax`."""

    _view: JaxView
    _unknown = False

    def step(self, params: Any, *data: Any, state: Any = None) -> None:
        """Call after each update, with the new parameters and what else the loss takes.

        With the `state` of the optimiser, Adam and RMSProp are recognised, and what they divide by is read off it.
        """
        if self._unknown and state is not None and has_momentum(state) and not divides(state):
            raise InputError(
                "the state of the optimiser has a momentum, and optax does not keep its coefficient there; "
                "give method=eom.HeavyBall('9/10') or eom.Nesterov('9/10') to watch_optax"
            )
        self._view.show(params, data, state)
        self._step()


def watch_optax(
    loss_fn: Callable[..., Any],
    params: Any,
    learning_rate: float | Callable[[int], Any],
    *,
    every: int = 200,
    method: Method | None = None,
    weight_decay: float = 0.0,
    normalised: Sequence[str] = (),
    writer: Any = None,
    live: bool = False,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> OptaxMonitor:
    """Monitor a loop in JAX, with `optax` or without.

    Parameters
    ----------
    loss_fn : callable
        ``loss_fn(params, *data)``, a scalar.
    params : pytree
    learning_rate : float or callable
        Or a schedule, as `optax` takes them: from the number of the step.
    every, writer, live
        As for :func:`watch_torch`.
    method : Method, optional
        Gradient descent by default: ``HeavyBall("9/10")`` for ``optax.sgd(..., momentum=0.9)``.
    weight_decay : float
        That of the optimiser, if it is added to the gradient.
    normalised : sequence of str
        Paths of weights before a normalisation, such as ``"layers.0.W"``.
    betas, eps
        Of Adam, and eps of RMSProp, if ``monitor.step(params, state=state)`` gives their state: `optax` keeps the
        averages there and not these numbers, unless it is wrapped by ``optax.inject_hyperparams``.

    Returns
    -------
    OptaxMonitor

    Raises
    ------
    MissingDependencyError
        JAX is not installed.
    InputError
        As for :func:`watch_torch`.

    Examples
    --------
    >>> import pytest
    >>> jax = pytest.importorskip("jax")
    >>> import jax.numpy as jnp
    >>> from eomsym.interop import watch_optax
    >>> def loss_fn(params):
    ...     return (jnp.array([1.0, 3.0]) * params["x"] ** 2).sum() / 2
    >>> params = {"x": jnp.ones(2)}
    >>> monitor = watch_optax(loss_fn, params, 0.1, every=2)
    >>> for _ in range(4):
    ...     params = jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss_fn)(params))
    ...     monitor.step(params)
    >>> [round(look.product, 4) for look in monitor.looks]
    [0.3, 0.3]
    """
    rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
    view = JaxView(loss_fn, params)
    momentum = None if method is None else float(getattr(method, "beta", 0.0))
    monitor = OptaxMonitor(
        view,
        GradientDescent() if method is None else method,
        lambda step: float(rate(step)),
        decay=weight_decay,
        every=every,
        normalised=normalised,
        writer=writer,
        live=live,
        preconditioner=lambda: of_optax(view.state, view.flat, betas, eps, momentum),
    )
    monitor._unknown = method is None
    return monitor


class JaxView:
    """Vectors of a tree."""

    def __init__(self, loss_fn: Callable[..., Any], params: Any) -> None:
        try:
            import jax
            from jax.flatten_util import ravel_pytree
        except ImportError as error:
            raise MissingDependencyError("watch_optax needs JAX; type: pip install 'eomsym[jax]'") from error
        paths, _ = jax.tree_util.tree_flatten_with_path(params)
        labels = [jax.tree_util.keystr(path, simple=True, separator=".") or "params" for path, _ in paths]
        ends = np.cumsum([0, *(np.size(leaf) for _, leaf in paths)]).tolist()
        self._places = {name: slice(a, b) for name, a, b in zip(labels, ends, ends[1:], strict=False)}
        _, unravel = ravel_pytree(params)

        def value(vector: Any, data: Any) -> Any:
            return loss_fn(unravel(vector), *data)

        gradient = jax.grad(value)
        self._slope = jax.jit(jax.value_and_grad(value))
        self._product = jax.jit(lambda x, v, data: jax.jvp(lambda y: gradient(y, data), (x,), (v,))[1])
        self._ravel = ravel_pytree
        self.show(params, ())

    def show(self, params: Any, data: tuple[Any, ...], state: Any = None) -> None:
        """The parameters, data and state of the optimiser of now."""
        self._params, self._data, self.state = params, data, state

    def flat(self, tree: Any) -> np.ndarray:
        """The vector of a tree like the parameters."""
        return np.asarray(self._ravel(tree)[0], dtype=np.float64)

    def places(self) -> dict[str, slice]:
        """As in `View`."""
        return self._places

    def weights(self) -> np.ndarray:
        """As in `View`."""
        return self.flat(self._params)

    def slope(self) -> tuple[float, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """As in `View`."""
        point = self._ravel(self._params)[0]
        value, slope = self._slope(point, self._data)

        def product(v: np.ndarray) -> np.ndarray:
            return np.asarray(self._product(point, v.astype(point.dtype), self._data), dtype=np.float64)

        return float(value), np.asarray(slope, dtype=np.float64), product
