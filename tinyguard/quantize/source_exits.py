# SPDX-License-Identifier: Apache-2.0
"""Exits of a file from the outputs of its source: which become exits, their order, what is said of each."""

from collections.abc import Sequence
from math import prod

import numpy as np

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError
from tinyguard.exits.stage_costs import costs_in_macs
from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import exit_tensors, logits_tensors
from tinyguard.quantize.outcome import Exit, Output
from tinyguard.quantize.source_network import Source, output_label
from tinyguard.sources.one_output import find_named
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.exits import Exits, insert_gates, shallowest_first

AUTO = "auto"
_LIST = "--exits NAME|N,NAME|N"


def check_exit_options(scheme: str, output: str | None, roles: bool, evaluation: Samples | None) -> None:
    """Raise TinyguardError for what exits exclude: a scheme other than int8, a chosen output, stated roles,
    real targets."""
    if output is not None:
        raise TinyguardError(
            f"--output {output} with --exits: which exit answers is decided for every input; leave one of "
            "the two out"
        )
    if roles:
        raise TinyguardError(
            "--role with --exits: what outputs mean that are exits is known; leave --role out"
        )
    if scheme != "int8":
        raise TinyguardError(
            f"--exits with --scheme {scheme}: exits take an int8 network; type --scheme int8"
        )
    if evaluation is not None and evaluation.targets is not None:
        raise TinyguardError(
            f"{evaluation.name} has real y and exits name classes: save labels as integers, or leave out "
            "--evaluate"
        )


def exit_places(network: Source, wanted: str, x: np.ndarray) -> tuple[int, ...]:
    """The numbers of the source's outputs that become exits; `x` float32 (N, *shape) holds a sample.

    `wanted` is AUTO, all of them, or names and numbers with commas between. Raises TinyguardError for fewer
    than two, for one named twice and for different sizes.
    """
    shapes = [values.shape[1:] for values in network.predict(x[:1])]
    names = network.outputs or ("",) * len(shapes)
    if len(shapes) == 1:
        raise TinyguardError(f"{network.name} has one output, and exits are two or more: leave --exits out")
    places = list(range(len(shapes)))
    if wanted != AUTO:
        named = list(zip(names, shapes, strict=True))
        places = [find_named(named, text.strip()) for text in wanted.split(",")]
    for place in places:
        if places.count(place) > 1:
            raise TinyguardError(f"--exits {wanted} names output {output_label(names, place)} twice")
    if len(places) < 2:
        raise TinyguardError(f"--exits {wanted} names one output, and exits are two or more: type {_LIST}")
    sizes = [prod(shapes[place]) for place in places]
    if len(set(sizes)) > 1:
        listed = ", ".join(
            f"{output_label(names, place)} has {size}" for place, size in zip(places, sizes, strict=True)
        )
        raise TinyguardError(
            f"exits of {network.name} have one number of elements, and output {listed}: type {_LIST} to name "
            "those of one size, or leave --exits out"
        )
    return tuple(places)


def never_leaving(graph: Graph) -> Exits:
    """All outputs of a quantized network as exits, shallowest first, of which the last answers.

    Raises TinyguardError for outputs that are no int8 softmaxes, each going on from the one before.
    """
    exits = Exits(shallowest_first(graph), Policy("never"))
    insert_gates(graph, exits)
    return exits


def exit_figures(model: bytes, exits: Exits, outputs: Sequence[Output]) -> tuple[Exit, ...]:
    """Of each exit of the file `model`, whose outputs are `outputs`."""
    graph = read_graph(model)
    up_to = costs_in_macs(graph).up_to
    figures = zip(exits.outputs, exit_tensors(graph), up_to, logits_tensors(graph), strict=True)
    return tuple(
        Exit(place, tensor.name, cost, logits.scale, outputs[place].accuracy)
        for place, tensor, cost, logits in figures
    )
