# SPDX-License-Identifier: Apache-2.0
"""A network that torch.export took down, made plain: constants folded, batch norms in the convolutions.

Passes over the graph of ATen calls; each leaves what the network computes as it was, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

_aten: Any = torch.ops.aten
Node = Any  # an fx.Node: the declared types of its arguments allow too much
_SHAPES_ONLY = {
    _aten.view.default,
    _aten.reshape.default,
    _aten.flatten.using_ints,
    _aten.squeeze.dim,
    _aten.squeeze.dims,
    _aten.alias.default,
}
_CONVOLUTIONS = {_aten.conv1d.default, _aten.conv1d.padding, _aten.conv2d.default, _aten.conv2d.padding}
_CASTS = {_aten.to.dtype, _aten.to.dtype_layout, _aten.to.device, _aten.to.other, _aten._to_copy.default}
_AFFINE: dict[Any, Callable[[torch.Tensor, torch.Tensor, Any], tuple[torch.Tensor, torch.Tensor]]] = {
    # (weights as one row per channel, bias, constant) to the same of the result
    _aten.add.Tensor: lambda weights, bias, c: (weights, bias + c),
    _aten.sub.Tensor: lambda weights, bias, c: (weights, bias - c),
    _aten.subtract.Tensor: lambda weights, bias, c: (weights, bias - c),
    _aten.mul.Tensor: lambda weights, bias, c: (weights * c[:, None], bias * c),
    _aten.multiply.Tensor: lambda weights, bias, c: (weights * c[:, None], bias * c),
    _aten.div.Tensor: lambda weights, bias, c: (weights / c[:, None], bias / c),
}


def plain(module: fx.GraphModule, number: int = 0) -> tuple[fx.GraphModule, str]:
    """The network of `torch.export.export(...).module()` without its final softmax or sigmoid.

    Takes one tensor (N, ...) and returns output `number`; with "softmax", "sigmoid" or "logits" for how
    that ended. Weights are parameters `constant_0`, ...; batch norms and other scales per channel are in the
    convolutions before them.
    """
    work = _Work(module)
    work.keep_output(number)
    work.drop_checks()
    work.fold_constants()
    if work.without_writing():
        work.drop(lambda node: node.target is _aten.contiguous.default)
        work.fold_affine()
    ending = work.strip_ending()
    return work.finished(), ending


def _nodes_of(results: Any) -> list[Node]:
    """What a graph returns, nested or not, in its order; None is no output, as `named_outputs` has it."""
    if results is None:
        return []
    if isinstance(results, fx.Node):
        return [results]
    parts = results.values() if isinstance(results, dict) else results
    return [node for part in parts for node in _nodes_of(part)]


class _Work:
    """A copy of the graph with its constants beside it."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.graph = fx.Graph()
        self.graph.output(self.graph.graph_copy(module.graph, {}))
        self.constants: dict[Node, torch.Tensor] = {}
        for node in self._nodes():
            if node.op == "get_attr":
                value = _attribute(module, node.target)
                if isinstance(value, torch.Tensor):
                    self.constants[node] = value.detach().clone()

    def _nodes(self) -> list[Node]:
        return list(self.graph.nodes)

    def keep_output(self, number: int) -> None:
        (output,) = (node for node in self._nodes() if node.op == "output")
        results = _nodes_of(output.args[0])
        output.args = (results[number],)

    def drop_checks(self) -> None:
        """Guards of the example's sizes and types, casts to the same type, idle dropout."""
        for node in reversed(self._nodes()):
            name = str(node.target)
            if not node.users and ("_assert" in name or "_guards_fn" in name or "sym_constrain" in name):
                self.graph.erase_node(node)
        self.drop(_is_idle)

    def drop(self, idle: Callable[[Node], bool]) -> None:
        """Take out calls that return their first argument."""
        for node in self._nodes():
            if node.op == "call_function" and idle(node):
                node.replace_all_uses_with(node.args[0])
                self.graph.erase_node(node)

    def fold_constants(self) -> None:
        """Compute every call whose tensors are all constants."""
        for node in self._nodes():
            sources = node.all_input_nodes
            if node.op == "call_function" and sources and all(s in self.constants for s in sources):
                values = fx.map_arg((node.args, node.kwargs), lambda source: self.constants[source])
                with torch.no_grad():
                    result = node.target(*values[0], **values[1])
                if isinstance(result, torch.Tensor):
                    node.replace_all_uses_with(self.constant(result, node))
                    self.graph.erase_node(node)

    def constant(self, value: torch.Tensor, before: fx.Node) -> Node:
        with self.graph.inserting_before(before):
            node = self.graph.create_node("get_attr", f"constant_{len(self.constants)}")
        self.constants[node] = value
        return node

    def without_writing(self) -> bool:
        """Replace calls that write into their argument by ones that do not; whether that was possible."""
        done = True
        for node in self._nodes():
            target = node.target
            if (
                node.op != "call_function"
                or not getattr(target, "_schema", None)
                or not target._schema.is_mutable
            ):
                continue
            name = target._schema.name.split("::")[1]
            source = node.args[0]
            plain = getattr(getattr(_aten, name.removesuffix("_"), None), target._overloadname, None)
            if plain is None or len(source.users) > 1 or source.op != "call_function" or _is_view(source):
                done = False
            else:
                node.target = plain
        return done

    def fold_affine(self) -> None:
        """Move scales and shifts per channel into the convolution or matrix before them."""
        for node in self._nodes():
            if node.op == "call_function" and node.users:
                argument = self._affine(node)
                if argument is not None:
                    node.replace_all_uses_with(argument)
                    self.graph.erase_node(node)

    def _affine(self, node: fx.Node) -> Node | None:
        """The argument of `node` once the layer before it has taken over what `node` does to it."""
        chain = self._steps(node)
        if chain is None:
            return None
        source, steps = chain
        layer, order = source, None
        if source.target is _aten.permute.default and len(source.users) == 1:
            layer, order = source.args[0], list(source.args[1])
        if not self._is_layer(layer):
            return None
        rank = {_aten.linear.default: 2}.get(layer.target, self.constants[layer.args[1]].ndim)
        place = order.index(1) if order else 1
        channels = len(self.constants[layer.args[1]])
        values = [self._per_channel(operand, rank, place, channels) for _, operand in steps]
        if any(value is None for value in values) or (node.target is _aten.batch_norm.default and place != 1):
            return None
        self._absorb(layer, [(target, value) for (target, _), value in zip(steps, values, strict=True)])
        return source

    def _steps(self, node: fx.Node) -> tuple[Node, list[tuple[Any, Any]]] | None:
        """What `node` reads, and the sums and products with constants that it does to that."""
        if node.target is _aten.batch_norm.default:
            steps = self._batch_norm(node)
            return None if steps is None else (node.args[0], steps)
        if node.target not in _AFFINE or node.kwargs:
            return None
        source, operand = node.args
        if source in self.constants and node.target in (_aten.add.Tensor, _aten.mul.Tensor):
            source, operand = operand, source
        if not isinstance(source, fx.Node) or source in self.constants:
            return None
        return source, [(node.target, operand)]

    def _is_layer(self, node: Any) -> bool:
        known = isinstance(node, fx.Node) and node.target in {*_CONVOLUTIONS, _aten.linear.default}
        return known and len(node.users) == 1 and node.args[1] in self.constants

    def _batch_norm(self, node: Node) -> list[tuple[Any, Any]] | None:
        weight, bias, mean, variance, training, _, eps = node.args[1:8]
        known = [x is None or x in self.constants for x in (weight, bias, mean, variance)]
        if training or not all(known):
            return None
        scale = torch.rsqrt(self.constants[variance].double() + eps)
        steps = [(_aten.sub.Tensor, self.constants[mean]), (_aten.mul.Tensor, scale)]
        steps += [(_aten.mul.Tensor, self.constants[weight])] if weight is not None else []
        return steps + ([(_aten.add.Tensor, self.constants[bias])] if bias is not None else [])

    def _per_channel(self, operand: Any, rank: int, place: int, channels: int) -> torch.Tensor | None:
        """float64 (channels,), where the operand varies along that axis alone."""
        if isinstance(operand, int | float):
            return torch.full((channels,), float(operand), dtype=torch.float64)
        if isinstance(operand, torch.Tensor):  # of a batch norm
            return operand.double()
        if operand not in self.constants:
            return None
        value = self.constants[operand]
        shape = (1,) * (rank - value.ndim) + tuple(value.shape)
        if value.numel() == channels and len(shape) == rank and shape[place] == channels:
            return value.reshape(-1).double()
        return value.double().reshape(1).expand(channels) if value.numel() == 1 else None

    def _absorb(self, layer: Node, steps: list[tuple[Any, Any]]) -> None:
        source, weight, *rest = layer.args
        old = self.constants[weight]
        bias = rest[0] if rest else layer.kwargs.get("bias")
        rows = old.double().reshape(len(old), -1)
        shift = torch.zeros(len(old), dtype=torch.float64) if bias is None else self.constants[bias].double()
        for target, value in steps:
            rows, shift = _AFFINE[target](rows, shift, value)
        new = self.constant(rows.reshape(old.shape).to(old.dtype), layer)
        layer.args = (source, new, self.constant(shift.to(old.dtype), layer), *rest[1:])
        layer.kwargs = {key: value for key, value in layer.kwargs.items() if key != "bias"}

    def strip_ending(self) -> str:
        """Take out a final softmax over the last axis or a final sigmoid; the name of what was there."""
        (output,) = (node for node in self._nodes() if node.op == "output")
        node = output.args[0]
        while node.target in _SHAPES_ONLY and len(node.users) == 1:
            node = node.args[0]
        if len(node.users) != 1:
            return "logits"
        if node.target is _aten.sigmoid.default:
            ending = "sigmoid"
        elif node.target in (_aten.softmax.int, _aten._softmax.default) and _is_last_axis(node):
            ending = "softmax"
        else:
            return "logits"
        node.replace_all_uses_with(node.args[0])
        self.graph.erase_node(node)
        return ending

    def finished(self) -> fx.GraphModule:
        self.graph.eliminate_dead_code()
        self.graph.lint()
        root: dict[str, Any] = {}
        kept = [node for node in self._nodes() if node.op == "get_attr"]
        for place, node in enumerate(kept):
            value = self.constants[node]
            node.target = f"constant_{place}"
            statistic = any(user.target is _aten.batch_norm.default for user in node.users)
            weights = value.is_floating_point() and value.ndim > 0 and not statistic
            root[node.target] = torch.nn.Parameter(value) if weights else value
        return fx.GraphModule(root, self.graph, "FloatNetwork")


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _is_idle(node: Node) -> bool:
    if node.target is _aten.dropout.default:
        return not node.args[2]
    if node.target not in _CASTS or not isinstance(node.args[0], fx.Node):
        return False
    before, after = node.args[0].meta.get("val"), node.meta.get("val")
    return before is not None and after is not None and before.dtype == after.dtype


def _is_view(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(value.alias_info is not None for value in schema.returns)


def _is_last_axis(node: Node) -> bool:
    value, axis = node.args[0].meta.get("val"), node.args[1]
    return bool(axis == -1 or (value is not None and axis == value.ndim - 1))
