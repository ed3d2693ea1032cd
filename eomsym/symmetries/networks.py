"""Which symmetries a network has, read off its layers."""

from __future__ import annotations

from itertools import count
from typing import Any

from eomsym.errors import InputError
from eomsym.losses.layers import Bias, Layer, Linear
from eomsym.losses.network import Network
from eomsym.losses.objective import Objective
from eomsym.symmetries.measured import measured_symmetries
from eomsym.symmetries.noether import Symmetry
from eomsym.symmetries.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance

__all__ = ["symmetries_of"]


def symmetries_of(network: Objective, start: Any = None) -> list[Symmetry]:
    """The symmetries that the layers of a network bring, as objects to check and to predict with.

    Of a loss that is no `Network`, such as a model of PyTorch or of JAX, they are found by measuring: those of single
    blocks, of neighbouring ones together, and between neighbouring matrices, whichever way they stand. Normalisation is
    exactly invariant with ``eps=0`` only.

    * Weights, with the biases behind them, in front of a normalisation: scale-invariant, unless something that is not
      homogeneous stands between; normalised weights.
    * What is added to all entries in front of a softmax or of a layer normalisation, to each unit in front of a batch
      normalisation: translation-invariant.
    * Two matrices with nothing but homogeneous functions and one bias between them: they can be rescaled.

    Rows and columns have symmetries of their own: ``ScaleInvariance("W1", row=0)`` in front of a batch normalisation
    and with normalised weights, ``TranslationInvariance("W2", column=0)`` in front of a softmax.

    Parameters
    ----------
    network : Network, or another loss with named blocks
    start : array_like, shape (n,), optional
        Where they are measured; ``loss.start`` of a traced model by default. A `Network` needs none.

    Returns
    -------
    list of Symmetry

    Raises
    ------
    InputError
        It is no loss with named blocks, or there is no point to measure at.

    Examples
    --------
    >>> from eomsym.losses import Activation, BatchNorm, Bias, Linear, Network
    >>> layers = [Linear(3), BatchNorm(), Activation("relu"), Linear(4), Activation("relu"), Linear(2), Bias()]
    >>> net = Network(layers, [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1], loss="cross_entropy")
    >>> for symmetry in symmetries_of(net):
    ...     print(symmetry, symmetry.check(net, net.initial(0)).violation < 1e-12)
    ScaleInvariance('W1') True
    TranslationInvariance('b3') True
    TranslationInvariance('W3') True
    RescalingSymmetry(('W2', 'W3')) True
    """
    if not isinstance(network, Network):
        if not isinstance(network, Objective):
            raise InputError(f"expected a network, whose layers tell its symmetries, got {type(network).__name__}")
        start = getattr(network, "start", None) if start is None else start
        if start is None:
            raise InputError(
                f"expected a network, whose layers tell its symmetries, got {type(network).__name__}; "
                "give start=theta, a point at which they are measured"
            )
        return measured_symmetries(network, network.validate(start))
    walk = list(zip(network.layers, network.names, strict=True))
    return [*_scales(walk), *_shifts(walk, network.loss == "cross_entropy"), *_rescalings(walk)]


Walk = list[tuple[Layer, dict[str, str]]]


def _scales(walk: Walk) -> list[Symmetry]:
    found: list[Symmetry] = []
    for place, (layer, names) in enumerate(walk):
        found += [ScaleInvariance(names[letter]) for letter in layer.normalises]
        for letter in layer.linear_in:
            together, vanishing = [names[letter]], 0
            for behind, others in walk[place + 1 :]:
                if behind.removes_scale:
                    if behind.removes_shift == "unit":  # biases right before it leave no trace
                        together = together[: len(together) - vanishing]
                    found.append(ScaleInvariance(together[0] if len(together) == 1 else tuple(together)))
                if behind.removes_scale or behind.scales_with is None:
                    break
                together += [others[more] for more in behind.scales_with]
                vanishing = vanishing + 1 if isinstance(behind, Bias) else 0
    return found


def _shifts(walk: Walk, softmax: bool) -> list[Symmetry]:
    removed = [(place, layer.removes_shift) for place, (layer, _) in enumerate(walk) if layer.removes_shift]
    if softmax:
        removed.append((len(walk), "sample"))
    found: list[Symmetry] = []
    for end, kind in removed:
        for place in count(end - 1, -1):
            layer, names = walk[place] if place >= 0 else (None, {})
            if isinstance(layer, Bias):
                found.append(TranslationInvariance(names["b"]))
                continue
            if kind == "sample" and type(layer) is Linear:
                found.append(TranslationInvariance(names["W"]))
            break
    return found


def _rescalings(walk: Walk) -> list[Symmetry]:
    found: list[Symmetry] = []
    for place, (layer, names) in enumerate(walk):
        biases: list[str] = []
        free = True
        for behind, others in walk[place + 1 :] if type(layer) is Linear else ():
            if type(behind) is Linear:
                below_above = (names["W"], others["W"])
                found.append(RescalingSymmetry(below_above, bias=biases[0] if biases else None, matrix=free))
                break
            if not behind.separate or behind.scales_with is None or behind.takes_images:
                break
            biases += [others[letter] for letter in behind.scales_with]
            free = free and (isinstance(behind, Bias) or getattr(behind, "kind", "") == "linear")
            if len(biases) > 1:
                break
    return found
