"""Losses from PyTorch: values, gradients and terms against PyTorch itself; what cannot be read is refused."""

from __future__ import annotations

import copy
from fractions import Fraction

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import ExpressionError, InputError

torch = pytest.importorskip("torch", reason="from_torch needs PyTorch: pip install 'eomsym[torch]'")

import torch.nn.functional as F  # noqa: E402
from interop.torch_models import labels, models, normal, written  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402

# PyTorch uses deprecated parts of itself while it exports.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
NAMES = ["mlp", "lenet", "batch norm", "layer norm", "transformer"]


def function_of(module, loss_fn, inputs, targets):
    """The loss as a function of a flat vector, by functional_call."""
    module = written(copy.deepcopy(module).double())
    named = dict(module.named_parameters())

    @sdpa_kernel(SDPBackend.MATH)  # the others have no second derivative
    def function(vector):
        parts, at = {}, 0
        for name, parameter in named.items():
            parts[name] = vector[at : at + parameter.numel()].view(parameter.shape)
            at += parameter.numel()
        return loss_fn(torch.func.functional_call(module, parts, (inputs,)), targets)

    return function


def along(function, theta, *directions):
    """Derivative of the gradient along directions: backwards again and again, which PyTorch does right."""
    point = theta.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(point), point, create_graph=True)
    for direction in directions:
        (found,) = torch.autograd.grad(found @ direction, point, create_graph=True)
    return found.detach()


def terms_to_order(function, theta, order):
    """The sum over trees, each a derivative of the gradient along the values of its branches."""
    from eomsym.formulas.terms import counter_terms

    known = {}

    def elementary(tree):
        if tree not in known:
            known[tree] = along(function, theta, *map(elementary, tree.branches))
        return known[tree]

    universal = counter_terms(order)
    rows = []
    for k in range(order + 1):
        parts = [float(Fraction(int(c.p), int(c.q))) * elementary(tree) for tree, c in universal[k].items() if c]
        rows.append(sum(parts).numpy())
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_value_gradient_and_terms_are_those_of_torch(name):
    model = models()[name]
    loss = eom.from_torch(*model)
    function = function_of(*model)
    theta = loss.start + 0.1 * np.random.default_rng(1).standard_normal(loss.size)
    point = torch.tensor(theta)
    assert loss.value(theta) == pytest.approx(float(function(point)), rel=1e-12, abs=0)
    expected = terms_to_order(function, point, 3)
    gradient = loss.gradient(theta)
    np.testing.assert_allclose(gradient, expected[0], rtol=0, atol=1e-12 * abs(expected[0]).max())
    for row, true in zip(eom.compile(loss, 3).terms(theta), expected, strict=True):
        np.testing.assert_allclose(row, true, rtol=0, atol=1e-10 * abs(true).max())


@pytest.mark.parametrize(
    "name", ["layer norm", *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n != "layer norm")]
)
def test_verify_passes(name):
    loss = eom.from_torch(*models()[name])
    time = {"mlp": 3.0, "layer norm": 0.3, "lenet": 2.0, "batch norm": 0.3, "transformer": 0.03}[name]
    report = eom.verify(loss, loss.start, time=time, ladder=(10, 20, 40, 80), orders=range(4))
    assert report.status == "passed", report


# operations ---------------------------------------------------------------------------------------------------------

IMAGES = normal(2, 2, 7, 7)


class Of(nn.Module):
    """A module of a function of one array of parameters, shape (3, 4)."""

    def __init__(self, function):
        super().__init__()
        self.x = nn.Parameter(normal(3, 4))
        self.function = function

    def forward(self, images):
        return self.function(self.x, images)


FUNCTIONS = {
    "activations": lambda x, _: sum(
        f(x).sum() for f in (F.gelu, F.silu, F.softplus, F.elu, F.mish, F.logsigmoid, F.selu)
    ),
    "more activations": lambda x, _: sum(
        (f(x) * x).sum() for f in (F.hardtanh, F.leaky_relu, F.relu6, F.hardswish, F.tanhshrink)
    ),
    "powers": lambda x, _: (
        (x**2 + 1) ** 1.5 + 2.0**x + (2 + x**2) ** x + torch.rsqrt(x**2 + 1) + (1 + x**2).sqrt()
    ).sum(),
    "elementary": lambda x, _: (
        torch.log1p(x**2) + torch.expm1(x) + torch.erf(x) * torch.atan(x) + 1 / (2 + x.sin())
    ).sum(),
    "where, clamp": lambda x, _: (
        torch.where(x > 0.1, x**2, x.sin()) + x.clamp(-0.5, 0.5) * x + x.abs() * x.sign()
    ).sum(),
    "maxima": lambda x, _: (x.max(dim=1).values ** 2).sum() + x.amin(0).prod() + torch.maximum(x, x**2).sum(),
    "softmax": lambda x, _: (x.softmax(0) ** 2).sum() + torch.logsumexp(x, 1).sum() + (F.log_softmax(x, 1) ** 2).sum(),
    "statistics": lambda x, _: (
        x.var() + x.std(0).sum() + x.mean(1).pow(2).sum() + torch.linalg.norm(x) + x.norm(dim=1).sum()
    ),
    "indices": lambda x, _: (
        (x[1:, ::2] * x[:2, 1:3]).sum()
        + (x[[2, 0], [1, 1]] ** 3).sum()
        + x.flip(0)[0].mul(x[1]).sum()
        + x.roll(1, 1).mul(x).sum()
        + (x.tril() @ x.triu(1).T).sum()
        + x.repeat(2, 1)[4].sum() ** 2
    ),
    "shapes": lambda x, _: (
        (torch.cat([x, x.T @ x]) ** 3).sum()
        + (torch.stack([x, x**2], 1)[:, 1] ** 2).sum()
        + (F.pad(x, (1, 2), value=2.0) ** 2).sum()
        + x.unsqueeze(1).expand(3, 5, 4).cumsum(1).pow(2).sum()
        + sum(a.prod() for a in x.split(2, 1))
        + sum(a.sum() ** 3 for a in x.unbind())
        + x.chunk(2, 1)[0].pow(4).sum()
    ),
    "products": lambda x, _: (
        (torch.einsum("ij,kj,lj->ikl", x, x, x) ** 2).mean()
        + torch.bmm(x[None], x.T[None]).sum() ** 2
        + (x @ x[0]).pow(2).sum()
        + torch.dot(x[0], x[1]) ** 2
        + torch.baddbmm(x[None, :, :3], x[None], x.T[None], beta=2).pow(2).sum()
    ),
    "convolutions": lambda x, y: (
        (F.conv2d(y, x[:2].reshape(1, 2, 2, 2), stride=2, padding=1, dilation=2) ** 2).sum()
        + (F.conv2d(y, x[:2].reshape(2, 1, 2, 2), groups=2, bias=x[0, :2]) ** 3).sum()
        + (F.conv_transpose2d(y, x[:2].reshape(2, 1, 2, 2), stride=2, padding=1, output_padding=1) ** 2).sum()
        + (F.conv_transpose1d(y[:, :, 0], x[:, :4].reshape(2, 3, 2), dilation=2) ** 2).sum()
    ),
    "pools": lambda x, y: (
        (F.max_pool2d(y * x[0, 0], 3, 2, padding=1) ** 2).sum()
        + (F.avg_pool2d(y * x[0, 1], 2) ** 2).sum()
        + (F.adaptive_avg_pool2d(y * x[0, 2] ** 2, (3, 2)) ** 2).sum()
        + (F.avg_pool1d(x[None], 2) ** 3).sum()
    ),
    "normalisation": lambda x, y: (
        (F.layer_norm(x, (4,), x[0]) ** 3).sum()
        + (F.group_norm(y * x[0, :2].exp()[:, None, None], 1) ** 3).mean()
        + (F.batch_norm(x @ x.T, None, None, training=True) ** 3).mean()
        + (F.normalize(x) ** 3).sum()
        + (F.instance_norm(y + x[0, 0] * y**2) ** 3).mean()
    ),
    "attention": lambda x, _: (
        (F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]) ** 2).sum()
        + F.scaled_dot_product_attention(x, x, x, is_causal=True).var()
    ),
    "losses": lambda x, _: (
        F.binary_cross_entropy_with_logits(x, torch.ones(3, 4).double() / 3)
        + F.smooth_l1_loss(x, x.detach() * 0)
        + F.kl_div(F.log_softmax(x, 1), torch.full((3, 4), 0.25).double())
        + F.nll_loss(F.log_softmax(x, 1), torch.tensor([0, 3, 1]))
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_operation_and_its_derivatives(name):
    """Value, gradient, and term 1."""
    model = (Of(FUNCTIONS[name]), lambda out, _: out, IMAGES, torch.zeros(()))
    loss = eom.from_torch(*model)
    function = function_of(*model)
    point = torch.tensor(loss.start)
    assert loss.value(loss.start) == pytest.approx(float(function(point)), rel=1e-12, abs=0)
    g = along(function, point)
    expected = along(function, point, g).numpy() / 2
    np.testing.assert_allclose(loss.gradient(loss.start), g, rtol=1e-11, atol=1e-12 * float(abs(g).max()))
    found = eom.compile(loss, 1).terms(loss.start)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11 * abs(expected).max())


# modules ------------------------------------------------------------------------------------------------------------


def test_tied_weights_are_one_block_and_fixed_ones_constants():
    module = models()["transformer"][0]
    module.blocks[0].up.weight.requires_grad_(False)
    loss = eom.from_torch(module, F.cross_entropy, labels(5, 2, 3), labels(5, 6))
    assert "head.weight" not in loss.blocks
    assert "blocks.0.up.weight" not in loss.blocks
    assert loss.size == sum(p.numel() for p in module.parameters() if p.requires_grad)
    found = loss.unpack(loss.start)
    np.testing.assert_allclose(found["embedding.weight"], module.embedding.weight.detach(), rtol=1e-7)
    np.testing.assert_array_equal(loss.pack(found), loss.start)


def test_running_statistics_are_constants_in_evaluation_mode():
    module, *rest = models()["batch norm"]
    module[1].running_mean.fill_(0.3)
    training, evaluating = eom.from_torch(module, *rest), eom.from_torch(module.eval(), *rest)
    assert training.value(training.start) != pytest.approx(evaluating.value(evaluating.start), rel=1e-3, abs=0)
    expected = rest[0](module.double()(rest[1]), rest[2])
    assert evaluating.value(evaluating.start) == pytest.approx(float(expected), rel=1e-12, abs=0)


def test_random_numbers_are_refused_and_dropout_of_nothing_is_read():
    data = (F.mse_loss, normal(6, 4), normal(6, 2))
    module = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    with pytest.raises(
        ExpressionError, match=r"draws random numbers.*call module\.eval\(\), or give dropout the probability 0"
    ):
        eom.from_torch(module, *data)
    still = eom.from_torch(module.eval(), *data)
    module[1].p = 0.0
    assert eom.from_torch(module.train(), *data).value(still.start) == still.value(still.start)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count += 1
        return x @ self.weight * self.count


class Branching(Counting):
    def forward(self, x):
        return x @ self.weight if (x @ self.weight).sum() > 0 else x.sum(1)


class Sorting(Counting):
    def forward(self, x):
        return torch.sort(x @ self.weight).values ** 2


def test_what_is_no_function_of_the_parameters_is_refused():
    data = (lambda out, y: out.sum(), normal(6, 4), torch.zeros(()))
    with pytest.raises(ExpressionError, match="the buffer count of Counting is changed by the forward pass"):
        eom.from_torch(Counting(), *data)
    with pytest.raises(ExpressionError, match=r"torch\.export cannot trace the module.*torch\.where"):
        eom.from_torch(Branching(), *data)
    with pytest.raises(
        ExpressionError, match=r"aten\.sort of PyTorch has no rule here.*test_torch_export\.py:\d+ \(forward\)"
    ):
        eom.from_torch(Sorting(), *data)
    mse = F.mse_loss
    with pytest.raises(InputError, match=r"itself raises RuntimeError: .*give inputs and targets for which it runs"):
        eom.from_torch(nn.Linear(4, 2), mse, normal(6, 3), normal(6, 2))
    with pytest.raises(InputError, match=r"got object; type inputs, targets = next\(iter\(loader\)\)"):
        eom.from_torch(nn.Linear(4, 2), mse, object(), normal(6, 2))
    with pytest.raises(InputError, match="entries that are not finite; give finite data"):
        eom.from_torch(nn.Linear(4, 2), mse, normal(6, 4) * float("nan"), normal(6, 2))
    complex_one = nn.Linear(4, 2).to(torch.complex64)
    with pytest.raises(InputError, match=r"the parameter weight is of type torch\.complex"):
        eom.from_torch(complex_one, lambda out, y: out.real.sum(), normal(6, 4), normal(6, 2))
    with pytest.raises(ExpressionError, match="batch normalisation has a momentum that is a number, not None"):
        eom.from_torch(
            nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2, momentum=None)), mse, normal(6, 4), normal(6, 2)
        )
    with pytest.raises(InputError, match="the loss must be one number, got an array of shape"):
        eom.from_torch(nn.Linear(4, 2), lambda out, y: out, normal(6, 4), torch.zeros(()))
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module, got function"):
        eom.from_torch(test_tied_weights_are_one_block_and_fixed_ones_constants, *data)
    with pytest.raises(InputError, match="no parameters that need gradients"):
        eom.from_torch(nn.Tanh(), *data)


# audit --------------------------------------------------------------------------------------------------------------


def test_the_audit_names_the_layer_whose_derivatives_are_wrong():
    """PyTorch's layer normalisation: right to the second derivative backwards, wrong beyond."""
    found = eom.audit(*models()["layer norm"], orders=(1, 2, 3))
    wrong = [one for one in found.comparisons if not one.agrees]
    assert found.status == "differs"
    assert {(one.mode, one.order) for one in wrong} >= {("backward", 3)}
    assert ("backward", 2) not in {(one.mode, one.order) for one in wrong}
    assert all("native_layer_norm (module 1)" in one.culprit for one in wrong)
    assert "wrong: native_layer_norm (module 1)" in str(found)


def test_the_audit_passes_where_normalisation_is_written_out():
    module, *rest = models()["layer norm"]
    found = eom.audit(written(module), *rest)
    assert found.status == "agrees", found
    assert (found.culprits, len(found.comparisons)) == ((), 6)
    with pytest.raises(InputError, match=r"orders must be integers >= 1, got \(0,\); type orders=\(2, 3, 4\)"):
        eom.audit(module, *rest, orders=(0,))


def test_the_audit_names_an_operation_of_ones_own_with_a_wrong_derivative():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(context, up):
            (x,) = context.saved_tensors
            return up * x.cos().detach()  # right once, and a constant from then on

    module = nn.Sequential(nn.Linear(4, 2).double())
    found = eom.audit(module, lambda out, y: Wrong.apply(out).sum(), normal(6, 4), torch.zeros(()), orders=(1, 2))
    backward = {one.order: one for one in found.comparisons if one.mode == "backward"}
    assert backward[1].agrees
    assert not backward[2].agrees
