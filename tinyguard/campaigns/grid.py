"""The cells of a study, networks x attacks x settings x budgets, and the pieces of work they come to.

A sample's attack depends on the sample alone, so a cell can be cut into pieces of some samples each and
the pieces joined again without changing a byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard import operators, plugins
from tinyguard.campaigns.study import AttackEntry, NetworkEntry, Study
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import DETECTORS
from tinyguard.robustness.budget import check_eps, eps_codes, equal_budgets, parse_eps
from tinyguard.robustness.threat_model import (
    check_access,
    default_setting,
    make_attack,
    norm_of,
    parameters_of,
)
from tinyguard.simulator.rules import GRADIENTS
from tinyguard.version import VERSION

_WEIGHTS = (".npz", ".npy", ".pt", ".pth", ".safetensors", ".h5", ".keras")


@dataclass(frozen=True)
class Cell:
    """One figure of a study. `eps` in shares, None where the attack has none.

    `inherits`: the index of the cell with the next smaller budget, whose successes count here too;
    `equal_to`: of the one that comes to the same codes, `unreachable`: not one code fits into eps.
    `judged_from`: of the one whose minimum-norm attack is this one's too, under another eps.
    `check`: the run is examined for gradient masking besides.
    """

    index: int
    network: NetworkEntry
    entry: AttackEntry
    setting: str
    norm: str
    eps: float | None
    eps_codes: int | list[int] | None
    inherits: int | None = None
    equal_to: int | None = None
    unreachable: bool = False
    judged_from: int | None = None
    check: bool = False

    @property
    def runs(self) -> bool:
        """Whether there is anything to compute."""
        return self.equal_to is None and self.judged_from is None and not self.unreachable


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `stop` of a cell. `key` names all that the result depends on; `after`: the key of
    the piece whose successes are inherited; `shared`: a folder where pieces leave what others can use."""

    key: str
    cell: Cell
    data: str
    limit: int
    seed: int
    start: int
    stop: int
    after: str | None
    shared: str


Views = Callable[[NetworkEntry, str], Sequence[NetworkEntry]]
"""The ways in which a network is attacked in one setting."""


def as_it_is(network: NetworkEntry, setting: str) -> tuple[NetworkEntry, ...]:
    """The one view of a study that compares no defenses."""
    del setting
    return (network,)


def cells_of(study: Study, views: Views = as_it_is) -> tuple[Cell, ...]:
    """Raises TinyguardError for everything in the study that could not run."""
    cells: list[Cell] = []
    for entry in study.attacks:
        for network in (study.network(name) for name in entry.networks):
            try:
                for setting in _settings(entry, network):
                    for view in views(network, setting):
                        cells.extend(_chain(len(cells), view, entry, setting))
            except TinyguardError as error:
                raise TinyguardError(f"{study.path}: {entry.label} on {network.name}: {error}") from None
    return tuple(cells)


def pieces_of(study: Study, cells: tuple[Cell, ...], shared: Path) -> tuple[Piece, ...]:
    """All pieces, those that others wait for first. `shared`: a folder for what they have in common."""
    pieces: dict[tuple[int, int], Piece] = {}
    for cell in cells:
        if not cell.runs:
            continue
        samples = len(codes_of(cell.network, study.data, study.limit)[0])
        for start in range(0, min(cell.entry.limit, samples), study.shard):
            stop = min(start + study.shard, cell.entry.limit, samples)
            after = None if cell.inherits is None else pieces[cell.inherits, start].key
            piece = Piece("", cell, study.data, study.limit, study.seed, start, stop, after, str(shared))
            pieces[cell.index, start] = replace(piece, key=_key(piece))
    return tuple(pieces.values())


def attack_of(cell: Cell) -> Any:
    """The attack of a cell with its parameters and budget."""
    from tinyguard.attacks import find_attack

    given = dict(cell.entry.parameters)
    if cell.eps is not None:
        given["eps"] = cell.eps
    return make_attack(find_attack(cell.entry.attack), given, {})


def codes_of(network: NetworkEntry, data: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Input codes (N, *shape) and labels (N,) of a study's data for one of its networks."""
    return _codes_of(network.model, network.output, data, limit)


@lru_cache(maxsize=32)  # pieces take turns on the networks
def _codes_of(model: str, output: str | None, data: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    from tinyguard.data.network_codes import read_codes
    from tinyguard.tflite import read_graph

    codes, labels = read_codes(Path(model), read_graph(Path(model), output=output), data, limit)
    if labels is None:
        raise TinyguardError(f"data {data} has no labels, and attacks need them")
    return codes, labels


def _settings(entry: AttackEntry, network: NetworkEntry) -> Iterator[str]:
    """The settings that make sense: the float network is the source of a transfer, not its victim."""
    from tinyguard.attacks import find_attack

    attack = find_attack(entry.attack)
    for setting in entry.settings or (default_setting(attack),):
        check_access(attack, setting)
        if not (setting == "transfer" and network.backend == "float"):
            yield setting


def _chain(first: int, network: NetworkEntry, entry: AttackEntry, setting: str) -> list[Cell]:
    """The budgets of one network, attack and setting, smallest first."""
    from tinyguard.data.shares import shares_of
    from tinyguard.graph.answer import check_answer
    from tinyguard.tflite import read_graph, read_metadata

    graph, metadata = (
        read_graph(Path(network.model), output=network.output),
        read_metadata(Path(network.model)),
    )
    try:
        check_answer(graph)
    except TinyguardError as error:
        raise TinyguardError(f"[[network]] {network.name}: {error}, in a study: output = NAME or N") from None
    normalization = metadata.normalization if metadata else None
    tensor = graph.tensors[graph.inputs[0]]
    shares = shares_of(tensor, normalization)
    budgets = [None if eps is None else parse_eps(str(eps), shares) for eps in entry.eps]
    base = attack_of(Cell(0, network, entry, setting, "", budgets[0], None))
    norm = norm_of(base)
    if budgets == [None]:
        return [Cell(first, network, entry, setting, norm, getattr(base, "eps", None), None)]
    known = sorted(eps for eps in budgets if eps is not None)
    for eps in known:
        check_eps(eps, norm)
    steps = _grid_steps(network, tensor.dtype, shares.step)
    direct = setting != "transfer" and steps is not None and norm == "linf"
    equal = equal_budgets(known, steps) if direct and steps is not None else {eps: eps for eps in known}
    counted = norm == "l0"  # in elements, not in shares
    cells: list[Cell] = []
    last: int | None = None
    for index, eps in enumerate(known, first):
        codes = None if steps is None or counted else eps_codes(eps, steps)
        under = direct and codes is not None and np.max(codes) < 1
        same = None if under or equal[eps] == eps else next(c.index for c in cells if c.eps == equal[eps])
        # An input that fools some masks at a smaller budget fools more of them at a larger one.
        grows = base.budgeted and setting != "transfer" and network.masks is None
        inherits = last if grows and same is None and not under else None
        cells.append(Cell(index, network, entry, setting, norm, eps, codes, inherits, same, under))
        if cells[-1].runs:
            last = index
    if base.budgeted or network.masks is not None:
        return cells
    # How near a minimum-norm attack comes is one search; what lies beyond a budget is no success under it.
    return [replace(c, judged_from=last) if c.runs and c.index != last else c for c in cells]


def _grid_steps(network: NetworkEntry, dtype: str, code_steps: tuple[float, ...]) -> tuple[float, ...] | None:
    """The size of a grid step in shares, one a channel; None off the grid."""
    if network.backend == "float" and network.grid is None:
        return None
    grid = network.grid or ("codes" if dtype == "int8" else "pixels")
    return tuple(1 / 255 for _ in code_steps) if grid == "pixels" else code_steps


def _key(piece: Piece) -> str:
    """A hash of tinyguard's version and those of other packages that have a part in the network, the
    network's bytes, the samples, the attack with all its parameters, and what is inherited."""
    cell = piece.cell
    codes, labels = codes_of(cell.network, piece.data, piece.limit)
    part = slice(piece.start, piece.stop)
    said = {
        "version": VERSION,
        "network": {**_conditions(cell.network), "model": _digest(Path(cell.network.model))},
        "source": source_digest(cell.network),
        "attack": [cell.entry.attack, parameters_of(attack_of(cell)), cell.setting, cell.eps],
        "targeted": cell.entry.targeted,
        "seed": piece.seed,
        "range": [piece.start, piece.stop],
        "after": piece.after,
    }
    if cell.check:
        said["check"] = True
    if packages := _packages(cell.network.model):
        said["packages"] = packages
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(codes[part].tobytes() + labels[part].tobytes())
    return digest.hexdigest()[:24]


def _packages(model: str) -> dict[str, str]:
    """The packages whose sections and operators the network at `model` needs, with their versions."""
    from tinyguard.tflite import read_graph, read_metadata, record

    if not plugins.brought():
        return {}
    metadata = read_metadata(Path(model))
    sections = [] if metadata is None else [record.registry()[name] for name in metadata.requires]
    layers = {node.operator for node in read_graph(Path(model)).nodes}
    known = operators.registry()
    return plugins.packages_of([*sections, *(known[name] for name in layers if name in known)])


def _conditions(network: NetworkEntry) -> dict[str, Any]:
    """What is said of a network besides its bytes, which hold its defenses. What is usual is not said: a new
    field leaves the keys of older studies as they are."""
    said = {**asdict(network), "name": "", "source": ""}
    usual = {
        "masks": None,
        "filter_gradient": GRADIENTS[0],
        "detector": DETECTORS[0],
        "purifier": None,
        "output": None,
    }
    if network.purifier is not None:
        said["purifier"]["pixel_cnn"] = _digest(Path(network.purifier.pixel_cnn))
    elsewhere = {"undefended", "hardening", *(key for key, value in usual.items() if said[key] == value)}
    return {key: value for key, value in said.items() if key not in elsewhere}


def source_digest(network: NetworkEntry) -> str | None:
    """Names the float source by the bytes of its file and, for file.py:function, by the function and the
    weights beside the file, which it may load."""
    if network.source is None:
        return None
    file, colon, function = network.source.partition(":")
    beside = sorted(path for path in Path(file).parent.iterdir() if path.suffix in _WEIGHTS) if colon else []
    return ":".join([_digest(Path(file)), function, *map(_digest, beside)])


@lru_cache(maxsize=64)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path)
