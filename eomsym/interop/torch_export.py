"""Losses written in PyTorch: an exported graph of ATen operations becomes a program."""

from __future__ import annotations

import copy
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import ExpressionError, InputError, MissingDependencyError
from eomsym.interop.aten import MOVES, RANDOM, RULES, Constants
from eomsym.interop.lowering import Decision, entry_value, scalar_program
from eomsym.interop.traced import Traced, agree, blocks_of, checked_maxima
from eomsym.losses.builder import Builder
from eomsym.losses.tensors import Tensor

__all__ = ["from_torch"]

#: Operations that have rules of their own and are not taken apart.
WHOLE = ("softplus", "_safe_softmax", "log_sigmoid_forward", "elu", "hardtanh", "leaky_relu", "silu", "gelu")


def from_torch(
    module: Any, loss_fn: Callable[[Any, Any], Any], inputs: Any, targets: Any, *, name: str | None = None
) -> Traced:
    """The loss of a PyTorch module on data, for everything that works on the losses of this package.

    A copy of the module in float64 is exported once (``torch.export``), and its operations become a program. It is then
    held against PyTorch itself: value and gradient at the module's parameters must agree.

    Parameters
    ----------
    module : torch.nn.Module
        In training mode or not, as it is. Batch normalisation in training mode is the function of the full batch that
        it is; buffers, and parameters that need no gradient, are constants.
    loss_fn : callable
        From outputs and targets to a scalar, such as ``torch.nn.functional.cross_entropy``.
    inputs, targets : Tensor, or a tuple of them for `inputs`
    name : str, optional
        By default the class of the module.

    Returns
    -------
    Traced
        Its blocks have the names of ``module.named_parameters()``; ``loss.start`` is the vector of the parameters, and
        ``loss.unpack(theta)`` a dict of arrays by name. Tied weights are one block.

    Raises
    ------
    MissingDependencyError
        PyTorch is not installed.
    InputError
        The loss is not a scalar, or the module has no parameters.
    ExpressionError
        An operation that cannot be read, random numbers (dropout), state that changes, or control flow that depends on
        data, with the line of your code; or the program does not agree with PyTorch.

    Notes
    -----
    Kinks (``relu``, ``max_pool2d``) are treated as in :func:`eomsym.from_jax`. ``softplus`` is the smooth function;
    PyTorch replaces it by a line beyond a threshold.

    Examples
    --------
    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> import eomsym as eom
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    >>> inputs, targets = torch.eye(2), torch.ones(2, 1)
    >>> loss = eom.from_torch(module, torch.nn.functional.mse_loss, inputs, targets)
    >>> loss
    <Traced Sequential (13 parameters)>
    >>> list(loss.blocks)
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    traced = trace(module, loss_fn, inputs, targets, name)
    import torch

    value = traced.whole(*traced.data)
    slopes = torch.autograd.grad(value, list(traced.names.values()), allow_unused=True)
    pairs = zip(slopes, traced.names.values(), strict=True)
    parts = [np.zeros(p.numel()) if s is None else s.numpy().ravel() for s, p in pairs]
    tolerance = 1e-7 if traced.lowering.rounds else 1e-9
    agree(traced.loss, float(value.detach()), np.concatenate(parts), tolerance, "PyTorch")
    checked_maxima(traced.loss)
    return traced.loss


@dataclass(frozen=True, eq=False)
class Trace:
    """A module that was read: the loss, module and loss as one module on its data, and its parameters by name."""

    loss: Traced
    whole: Any
    data: tuple[Any, ...]
    names: dict[str, Any]
    lowering: Lowering


def trace(module: Any, loss_fn: Callable[[Any, Any], Any], inputs: Any, targets: Any, name: str | None = None) -> Trace:
    """Read a module, without a look at whether the result agrees with PyTorch."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("from_torch needs PyTorch; type: pip install 'eomsym[torch]'") from error
    whole = _module(torch, module, loss_fn)
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    data = tuple(_double(torch, x) for x in (*given, targets))
    names, tied = _names(whole.model)
    _run_once(torch, whole, data)
    exported = _exported(torch, whole, data)
    graph = exported.graph_signature
    arrays = {label: parameter.detach().cpu().numpy() for label, parameter in names.items()}
    blocks = blocks_of({label: array.shape for label, array in arrays.items()})
    start = np.concatenate([array.ravel() for array in arrays.values()])
    builder = Builder(start.size)
    entries = {label: entry_value(builder, block) for label, block in blocks.items()}
    lowering = Lowering(builder, exported)
    known = lowering.placeholders(data, entries, tied, whole)
    _refuse_changes(graph, whole)
    (output,) = graph.user_outputs
    result = lowering.run(known, output)
    if not isinstance(result, Tensor):
        raise InputError("the loss does not depend on the parameters that need gradients")
    if result.size != 1:
        raise InputError(f"the loss must be one number, got an array of shape {result.shape}; use reduction='mean'")
    loss = Traced(
        type(module).__name__ if name is None else checks.text(name, "name"),
        blocks,
        scalar_program(builder, result),
        start,
    )
    return Trace(loss, whole, data, names, lowering)


def _module(torch: Any, module: Any, loss_fn: Any) -> Any:
    """A copy in float64 of module and loss, as one module."""
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"expected a torch.nn.Module, got {type(module).__name__}; for functions use eomsym.from_jax")

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = copy.deepcopy(module).double()
            self.loss = loss_fn

        def forward(self, *data: Any) -> Any:
            return self.loss(self.model(*data[:-1]), data[-1])

    whole = Whole()
    whole.training = module.training
    return whole


def _double(torch: Any, x: Any) -> Any:
    try:
        tensor = torch.as_tensor(x).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"inputs and targets must be tensors, got {type(x).__name__}; type inputs, targets = next(iter(loader)) "
            "for a batch of a DataLoader"
        ) from error
    return tensor.double() if tensor.is_floating_point() else tensor


def _names(model: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters that need gradients, once each; and for each name the one that it is tied to."""
    names: dict[str, Any] = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for label, parameter in model.named_parameters(remove_duplicate=False):
        if not parameter.requires_grad:
            continue
        if not parameter.is_floating_point():
            raise InputError(
                f"the parameter {label} is of type {parameter.dtype}, expected floats; split it into real parameters, "
                "or make it a buffer"
            )
        tied[label] = first.setdefault(id(parameter), label)
        names.setdefault(tied[label], parameter)
    if not names:
        raise InputError("the module has no parameters that need gradients")
    return names, tied


def _run_once(torch: Any, whole: Any, data: Any) -> None:
    """InputError where PyTorch itself cannot compute the loss."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            copy.deepcopy(whole)(*(x.clone() for x in data))
    except Exception as error:  # whatever the module raises
        raise InputError(
            f"loss_fn(module(inputs), targets) itself raises {type(error).__name__}: {str(error)[:300]}; give inputs "
            "and targets for which it runs"
        ) from error


def _exported(torch: Any, whole: Any, data: Any) -> Any:
    """The decomposed graph."""
    table = torch.export.default_decompositions()
    for label in WHOLE:
        for overload in ("default",):
            target = getattr(getattr(torch.ops.aten, label, None), overload, None)
            if target in table:
                del table[target]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the framework about itself
            return torch.export.export(whole, data, strict=False).run_decompositions(table)
    except Exception as error:  # whatever the framework raises, in all its kinds
        text = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExpressionError(
            f"torch.export cannot trace the module: {text[:300]}; control flow that depends on data is written with "
            "torch.where, sizes are known numbers, and batch normalisation has a momentum that is a number, not None"
        ) from error


def _refuse_changes(graph: Any, whole: Any) -> None:
    """State may change only where it does not enter: the running statistics of normalisation."""
    modules = dict(whole.named_modules())
    for label in graph.buffers_to_mutate.values():
        owner = label.rpartition(".")[0]
        if not label.endswith(("running_mean", "running_var", "num_batches_tracked")):
            kind = type(modules.get(owner, whole)).__name__
            raise ExpressionError(
                f"the buffer {label.removeprefix('model.')} of {kind} is changed by the forward pass, so the loss is "
                "not a function of the parameters; leave the change out, or call module.eval()"
            )
    if graph.user_inputs_to_mutate:
        raise ExpressionError("the module changes its inputs in place; write x = x + ... instead of x += ...")


class Lowering:
    """Walks through an exported graph and writes a program.

    Attributes
    ----------
    rounds : bool
        Whether the graph rounds to fewer digits than float64 somewhere; that is not repeated.
    records : list of (str, Tensor, str)
        Each operation that was written, with where it stands in the user's code.
    """

    def __init__(self, builder: Builder, exported: Any) -> None:
        self.builder, self.exported = builder, exported
        self.rounds = False
        self.records: list[tuple[str, Tensor, Any]] = []
        self.constants = Constants()

    def placeholders(self, data: Any, entries: dict[str, Any], tied: dict[str, str], whole: Any) -> dict[str, Any]:
        """Values of the inputs of the graph."""
        graph = self.exported.graph_signature
        state = {**dict(whole.named_parameters(remove_duplicate=False)), **dict(whole.named_buffers())}
        known = {}
        for spec in graph.input_specs:
            place, target = spec.arg.name, spec.target
            label = (target or "").removeprefix("model.")
            if label in tied:
                known[place] = entries[tied[label]]
            elif target in state:
                known[place] = state[target].detach()
            elif target is not None:
                known[place] = self.exported.constants[target].detach()
        rest = [spec.arg.name for spec in graph.input_specs if spec.arg.name not in known]
        return {**known, **dict(zip(rest, data, strict=True))}

    def run(self, known: dict[str, Any], output: str) -> Any:
        """The value of a node."""
        wanted = _needed(self.exported.graph, output)
        for node in self.exported.graph.nodes:
            if node.op != "call_function" or node.name not in wanted:
                continue
            args = _read(node.args, known)
            kwargs = _read(node.kwargs, known)
            found = self.apply(node, args, kwargs)
            known[node.name] = found
            first = found[0] if isinstance(found, (list, tuple)) and found else found
            if isinstance(first, Tensor) and node.target is not operator.getitem:
                self.records.append((f"{_operation(node)} ({line_of(node)})", first, node.name))
        return known[output]

    def replayed(self, traced: Trace, parameters: dict[str, Any], output: str) -> Any:
        """The value of a node by PyTorch itself, at other parameters."""
        tied = _names(traced.whole.model)[1]
        known = self.placeholders(traced.data, parameters, tied, traced.whole)
        wanted = _needed(self.exported.graph, output)
        for node in self.exported.graph.nodes:
            if node.op == "call_function" and node.name in wanted:
                known[node.name] = node.target(*_read(node.args, known), **_read(node.kwargs, known))
        return known[output]

    def apply(self, node: Any, args: Any, kwargs: Any) -> Any:
        """One node."""
        if node.target is operator.getitem:
            return args[0][args[1]]
        if not _depends((args, kwargs)):
            return self._constant(node, args, kwargs)
        name = _operation(node)
        if name in RANDOM and not (name == "native_dropout" and args[1] == 0):
            raise self.refuse(node, _RANDOM.format(name=name))
        if name in MOVES:
            return self._moved(node, args, kwargs)
        rule = RULES.get(name)
        if rule is None:
            raise self.refuse(
                node,
                f"the operation aten.{name} of PyTorch has no rule here, and its input depends on the parameters; "
                f"write it with others. There are rules for {', '.join(sorted({*RULES, *MOVES}))}",
            )
        try:
            return rule(self, *args, **kwargs)
        except ExpressionError as error:
            raise self.refuse(node, str(error)) from error

    def _constant(self, node: Any, args: Any, kwargs: Any) -> Any:
        if _operation(node) in RANDOM:
            raise self.refuse(node, _RANDOM.format(name=_operation(node)))
        return node.target(*args, **kwargs)

    def _moved(self, node: Any, args: Any, kwargs: Any) -> Any:
        """What only moves entries is done with their numbers: PyTorch says where they go."""
        source, *rest = args
        if _depends((rest, kwargs)):
            raise self.refuse(node, f"the indices of aten.{_operation(node)} depend on the parameters")
        moved = source.tensor if isinstance(source, Decision) else source
        places = self.constants.places(moved.shape)
        extra: tuple[int, ...] = ()
        if _operation(node) == "constant_pad_nd":
            value = rest[1] if len(rest) > 1 else kwargs.pop("value", 0)
            rest, extra = rest[:1], (-1,)
        out = node.target(places, *rest, *extra, **kwargs)
        several = isinstance(out, (list, tuple))
        found = [moved.gathered(x.numpy()) for x in (out if several else [out])]
        if extra and value != 0:
            found = [one + np.where(out.numpy() < 0, float(value), 0.0) for one in found]
        found = [Decision(x) for x in found] if isinstance(source, Decision) else found
        return found if several else found[0]

    def refuse(self, node: Any, text: str) -> ExpressionError:
        """The error for a node that cannot be read."""
        return ExpressionError(f"{text} (at {line_of(node)})")


_RANDOM = (
    "aten.{name} draws random numbers, so the loss is not a function of the parameters; call module.eval(), or give "
    "dropout the probability 0"
)


def _operation(node: Any) -> str:
    """The name in the table of rules, with the overload where that has a rule of its own."""
    whole = str(node.target).removeprefix("aten.")
    return whole if whole in RULES else whole.partition(".")[0]


def line_of(node: Any) -> str:
    """Where a node stands in the user's code: the innermost frame outside of PyTorch, else the innermost."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', node.meta.get("stack_trace") or "")
    inner = ("/torch/", "/eomsym/interop/")
    own = [frame for frame in frames if not any(part in frame[0].replace("\\", "/") for part in inner)]
    owner = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    part = owner[-1].removeprefix("L['self'].").removeprefix("model.") if owner else ""
    told = f"{own[-1][0]}:{own[-1][1]} ({own[-1][2]})" if own else ""
    return ", ".join(filter(None, [f"module {part}" if part else "", told])) or "unknown line"


def _needed(graph: Any, output: str) -> set[str]:
    """Names of the nodes that an output depends on."""
    nodes = {node.name: node for node in graph.nodes}
    found: set[str] = set()
    stack = [output]
    while stack:
        label = stack.pop()
        if label not in found:
            found.add(label)
            stack += [node.name for node in nodes[label].all_input_nodes]
    return found


def _read(argument: Any, known: dict[str, Any]) -> Any:
    """Arguments with nodes replaced by values."""
    if isinstance(argument, dict):
        return {key: _read(value, known) for key, value in argument.items()}
    if isinstance(argument, (list, tuple)):
        return [_read(value, known) for value in argument]
    return known[argument.name] if hasattr(argument, "all_input_nodes") else argument


def _depends(argument: Any) -> bool:
    if isinstance(argument, dict):
        return any(map(_depends, argument.values()))
    if isinstance(argument, (list, tuple)):
        return any(map(_depends, argument))
    return isinstance(argument, (Tensor, Decision))
