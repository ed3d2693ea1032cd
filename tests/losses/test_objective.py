"""Losses never change: what that means for attributes, equality, copies and what is compiled for them."""

from __future__ import annotations

import copy
import gc
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.codegen.machines import _KNOWN
from eomsym.losses import Activation, Linear, Network

INPUTS, LABELS = np.arange(12.0).reshape(4, 3) % 5, [0, 1, 1, 0]


def loss() -> eom.Loss:
    return eom.Loss("x**2*y + Abs(y)/3", variables="x y")


def field() -> eom.Field:
    return eom.Field(["x - x*y", "x*y - y"], variables="x y")


def network(**options: Any) -> Network:
    return Network((3, 2, 2), INPUTS, LABELS, loss="cross_entropy", **options)


def deep() -> eom.DeepLinear:
    return eom.DeepLinear((3, 2, 2), INPUTS, LABELS, "cross_entropy")


MAKERS = [loss, field, network, deep]


@pytest.mark.parametrize("make", MAKERS)
def test_attributes_do_not_change(make: Any) -> None:
    one = make()
    for name in ("size", "weight_decay", "program", "name"):
        before = getattr(one, name)
        with pytest.raises(FrozenInstanceError, match=f"{name} of .* cannot change; make another loss"):
            setattr(one, name, 1)
        with pytest.raises(FrozenInstanceError, match=f"{name} of .* cannot be deleted"):
            delattr(one, name)
        assert getattr(one, name) is before
    with pytest.raises(TypeError, match="does not support item assignment"):
        one.blocks["x"] = None


def test_data_cannot_be_written_to_and_are_copies() -> None:
    inputs = INPUTS.copy()
    net = Network((3, 2, 2), inputs, LABELS, loss="cross_entropy")
    value = net.value(net.initial(0))
    inputs[:] = 0
    assert net.value(net.initial(0)) == value
    for array in (net.inputs, net.targets):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1.0


@pytest.mark.parametrize("make", MAKERS)
def test_equal_content_is_equal(make: Any) -> None:
    one, other = make(), make()
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)
    assert one != one.with_weight_decay(0.1)
    assert one.with_weight_decay(0.1) == other.with_weight_decay(0.1)
    for copied in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied == one
        assert copied.program.nodes == one.program.nodes
        with pytest.raises(FrozenInstanceError, match="cannot change"):
            copied.name = "other"


def test_other_content_is_not() -> None:
    relu = [Linear(2), Activation("relu"), Linear(2)]
    others = [
        network(name="other"),
        network(bias=True),
        Network(relu, INPUTS, LABELS, loss="cross_entropy"),
        Network((3, 2, 2), INPUTS + 1e-9, LABELS, loss="cross_entropy"),
        Network((3, 2, 2), INPUTS, LABELS[::-1][:2] + LABELS[:2], loss="cross_entropy"),
        Network((3, 2, 2), INPUTS, np.eye(2)[LABELS]),
        deep(),
        loss(),
        field(),
        eom.Loss("x**2*y + Abs(y)/3", variables="y x"),
    ]
    assert len({network(), *others}) == len(others) + 1


def test_classes_of_ones_own_are_only_equal_to_themselves() -> None:
    """They may hold more than the package knows of."""

    class Tempered(Network):
        def __init__(self, temperature: float) -> None:
            super().__init__((3, 2, 2), INPUTS, LABELS, loss="cross_entropy")
            self.temperature = temperature

        def _outputs(self, builder: Any) -> Any:
            return super()._outputs(builder) * (1 / self.temperature)

    one, other = Tempered(2.0), Tempered(4.0)
    assert one != other
    assert one == one
    theta = one.initial(0)
    terms = [eom.compile(net, 1).terms(theta) for net in (one, other)]
    assert not np.allclose(*terms)
    np.testing.assert_allclose(terms[0][0], one.gradient(theta), rtol=1e-12)


def test_equal_losses_share_what_is_compiled() -> None:
    one, other = eom.compile(network(), 2), eom.compile(network(), 2)
    assert one.losses is not other.losses
    assert one._terms is other._terms
    moved = eom.compile(Network((3, 2, 2), INPUTS + 1, LABELS, loss="cross_entropy"), 2)
    assert moved._terms is not one._terms
    theta = one.loss.initial(0)
    assert not np.allclose(moved.terms(theta), one.terms(theta))
    decayed = eom.compile(network().with_weight_decay(0.5), 2)
    np.testing.assert_allclose(decayed.terms(theta)[0], one.terms(theta)[0] + 0.5 * theta, rtol=1e-13)


def test_what_is_compiled_goes_with_the_loss() -> None:
    one = eom.Loss("x**2 + 12345*x", variables="x")
    kernel = eom.compile(one, 1)
    kernel.terms([1.0])
    assert one in _KNOWN
    before = len(_KNOWN)
    del one, kernel
    gc.collect()
    assert len(_KNOWN) < before
