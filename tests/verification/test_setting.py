"""Losses and methods written down and made again."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym import optimisers
from eomsym.errors import InputError
from eomsym.output.records import data_hash
from eomsym.verification.setting import data_of, make_loss, make_method, setting_of

LOSS = eom.Loss("x**2 + y", variables="x y").with_weight_decay(Fraction(1, 3))
FIELD = eom.Field(["y", "-x"], variables="x y")
NET = eom.Network((1, 2, 1), np.array([[0.2], [-0.5]]), np.array([[1.0], [2.0]]), "tanh", bias=True)


def test_losses_are_written_in_full_or_with_their_options() -> None:
    loss, field, net = setting_of([LOSS, FIELD, NET], eom.GradientDescent())["losses"]
    assert loss == {
        "type": "Loss", "description": LOSS.describe(), "expression": "x**2 + y", "variables": ["x", "y"],
        "weight_decay": "1/3",
    }  # fmt: skip
    assert field == {
        "type": "Field", "description": FIELD.describe(), "velocity": ["y", "-x"], "variables": ["x", "y"],
        "weight_decay": "0",
    }  # fmt: skip
    assert net["type"] == "Network"
    options = net["options"]
    assert options["layers"] == [repr(layer) for layer in NET.layers]
    for name, value in vars(NET).items():
        simple = value is None or isinstance(value, (str, bool, int, float))
        assert (
            (name in options) == (not name.startswith("_") and simple) or isinstance(value, tuple) or name == "layers"
        )
        if simple and not name.startswith("_"):
            assert options[name] == value
    assert not any(name in options for name in ("inputs", "targets"))
    linear = eom.DeepLinear((2, 1), np.eye(2), np.ones((2, 1)))
    written = setting_of([linear], eom.GradientDescent())["losses"][0]["options"]
    assert (list(written["widths"]), written["layers"]) == ([2, 1], ["Linear(1)"])
    again = make_loss(loss)
    assert (again.describe(), again.weight_decay) == (LOSS.describe(), Fraction(1, 3))
    turned = make_loss(field)
    assert [str(part) for part in turned.expressions] == ["y", "-x"]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"has no data for .*; make the loss and type eomsym.rerun\(record, loss="):
        make_loss(net)


def test_data_are_hashed() -> None:
    assert data_of([LOSS, FIELD]) is None
    assert data_of([LOSS, NET]) == data_hash(NET.inputs, NET.targets)
    assert data_of([NET, NET]) == data_hash(NET.inputs, NET.targets, NET.inputs, NET.targets)


class Own(eom.GradientDescent):
    """Of a user, whose parameters nobody knows."""


class Adam(optimisers.Adam):
    """Called like one of ours."""


@pytest.mark.parametrize("method", [Own(), Adam()], ids=["own", "namesake"])
def test_a_method_of_a_user_is_named_alone(method: Any) -> None:
    written = setting_of([LOSS], method)["method"]
    assert written == {"type": type(method).__name__, "name": method.name, "parameters": None}
    with pytest.raises(InputError, match=r"is not one of eomsym.optimisers; make the method and type"):
        make_method(written)


def test_parameters_are_texts_and_flags_as_they_are() -> None:
    def parameters(method: Any) -> Any:
        return setting_of([LOSS], method)["method"]["parameters"]

    assert parameters(optimisers.Adam("1/2", inside=True)) == {
        "beta1": "1/2", "beta2": "999/1000", "epsilon": "1/100000000", "inside": True, "bias_correction": True,
        "memory": "eliminated", "eta": None,
    }  # fmt: skip
    assert parameters(optimisers.Lookahead(3, "1/2")) == {"steps": 3, "alpha": "1/2"}
    assert parameters(optimisers.Epoch((1, 0))) == {"order": [1, 0]}
    assert parameters(optimisers.RungeKutta([[0, 0], ["1/2", 0]], [0, 1]))["A"] == [["0", "0"], ["1/2", "0"]]
    assert parameters(eom.GradientDescent()) == {}
