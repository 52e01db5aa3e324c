# SPDX-License-Identifier: Apache-2.0
"""Which output of a converted file is which output of the source: by shape and value, never by position."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quantize.axes import Layout, best_layout
from tinyguard.quantize.source_network import check_once, output_label

CONVERSION_TOLERANCE = 0.01
# A wrong pair whose error is at most so many times that of the right one, or so little of the output's
# largest value, is not told apart from it.
APART, NOISE = 10.0, 1e-5


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network in order: `values` (N, *sample) on the same N samples, `names`, "" where there
    is none, and `tensors`, the same number where two outputs are one tensor."""

    values: Sequence[np.ndarray]
    names: Sequence[str] = ()
    tensors: Sequence[int] = ()


@dataclass(frozen=True)
class Match:
    """An output of the source: its `place` in the file, the `layout` there; `tied` where its name, and no
    value, told it from another."""

    place: int
    layout: Layout
    tied: bool = False


class TiedError(TinyguardError):
    """No sample and no name tells two outputs apart."""


def match_outputs(
    network: str, wanted: Outputs, actual: Outputs, hints: Sequence[str] = ()
) -> tuple[Match, ...]:
    """Match the source's outputs with those of the float file made from it, one to one.

    `hints` are the names of the source's outputs in the file. Raises TinyguardError where the file has other
    outputs or other values than the source, where it has one tensor for two outputs, and TiedError where
    outputs have the same values on all samples and no hint of their own.
    """
    sizes = [sorted(array[0].size for array in outputs.values) for outputs in (wanted, actual)]
    if sizes[0] != sizes[1]:
        raise TinyguardError(
            f"the converter gave {network} outputs of other sizes: save it in another format"
        )
    fits = _fits(wanted.values, actual.values)
    places = _assigned(fits)
    for place, values in enumerate(wanted.values):
        error, reach = fits[place, places[place]].error, float(np.abs(values).max())
        if not error <= CONVERSION_TOLERANCE * max(1e-6, reach):
            which = "its outputs differ"
            if len(places) > 1:
                which = f"output {output_label(wanted.names, place)} differs"
            raise TinyguardError(
                f"the converter changed what {network} computes: {which} by up to {error:.3g} "
                f"where values reach {reach:.3g}: save it in another format"
            )
    check_once(network, [actual.tensors[place] for place in places], wanted.names)
    tied = _tied(wanted.values, fits, places)
    chosen = _by_name(list(actual.names), places, hints, list(tied))
    for output, other in tied.items():
        named = actual.names[chosen[output]] in hints[output : output + 1]
        if not named or not _could_be(wanted.values, fits, places, output, chosen[output]):
            raise _tie(network, wanted.names, *sorted((output, other)))
    if len(set(chosen)) != len(chosen):
        raise _tie(network, wanted.names, *next(iter(tied.items())))
    return tuple(Match(place, fits[output, place], output in tied) for output, place in enumerate(chosen))


def match_quantized(network: str, wanted: Outputs, actual: Outputs) -> tuple[int, ...]:
    """For each output of the float file its place in the quantized one, whose values are dequantized.

    The quantizing converter keeps the names of tensors. Where it did not, values decide, and TinyguardError
    is raised where quantization leaves a doubt.
    """
    if sorted(array.shape for array in wanted.values) != sorted(array.shape for array in actual.values):
        raise TinyguardError(f"quantizing gave {network} outputs of other shapes: save it in another format")
    if len(wanted.values) == 1:
        return (0,)
    if len(set(actual.names)) == len(actual.names) and set(actual.names) == set(wanted.names):
        return tuple(actual.names.index(name) for name in wanted.names)
    fits = {
        pair: fit
        for pair, fit in _fits(wanted.values, actual.values).items()
        if wanted.values[pair[0]].shape == actual.values[pair[1]].shape
    }
    places = _assigned(fits)
    check_once(network, [actual.tensors[place] for place in places], wanted.names)
    for first, second in combinations(range(len(places)), 2):
        swapped = [fits.get((first, places[second])), fits.get((second, places[first]))]
        own = max(fits[output, places[output]].error for output in (first, second))
        if all(fit is not None and fit.error <= 2 * own for fit in swapped):
            raise _tie(network, wanted.names, first, second)
    return places


def _fits(wanted: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> dict[tuple[int, int], Layout]:
    """The layout of every pair of outputs of one size."""
    pairs = ((output, place) for output in range(len(wanted)) for place in range(len(actual)))
    fits = {pair: best_layout(wanted[pair[0]], actual[pair[1]]) for pair in pairs}
    return {pair: layout for pair, layout in fits.items() if layout is not None}


def _assigned(fits: dict[tuple[int, int], Layout]) -> tuple[int, ...]:
    """A place per output, the pairs with the least errors first."""
    taken: dict[int, int] = {}
    for output, place in sorted(fits, key=lambda pair: fits[pair].error):
        if output not in taken and place not in taken.values():
            taken[output] = place
    return tuple(taken[output] for output in sorted(taken))


def _could_be(
    values: Sequence[np.ndarray],
    fits: dict[tuple[int, int], Layout],
    places: Sequence[int],
    output: int,
    place: int,
) -> bool:
    """Whether the values of `output` would as well be those at `place` as those at its own."""
    layout, own = fits.get((output, place)), fits[output, places[output]].error
    reach = float(np.abs(values[output]).max())
    return layout is not None and layout.error <= max(APART * own, NOISE * reach)


def _tied(
    values: Sequence[np.ndarray], fits: dict[tuple[int, int], Layout], places: Sequence[int]
) -> dict[int, int]:
    """Outputs that could as well change places with another, and one such other of each."""
    tied: dict[int, int] = {}
    for first, second in combinations(range(len(places)), 2):
        pairs = ((first, places[second]), (second, places[first]))
        if all(_could_be(values, fits, places, *pair) for pair in pairs):
            tied.setdefault(first, second)
            tied.setdefault(second, first)
    return tied


def _by_name(
    names: Sequence[str], places: Sequence[int], hints: Sequence[str], tied: Sequence[int]
) -> list[int]:
    """The places, those of tied outputs by their names in the file; as they were where names do not say."""
    chosen = list(places)
    for output in tied:
        if output < len(hints) and names.count(hints[output]) == 1:
            chosen[output] = names.index(hints[output])
    return chosen


def _tie(network: str, names: Sequence[str], first: int, second: int) -> TiedError:
    return TiedError(
        f"outputs {output_label(names, first)} and {output_label(names, second)} of {network} have the same "
        "values on every calibration sample: give samples that tell them apart, or leave one of them out"
    )
