# SPDX-License-Identifier: Apache-2.0
"""A study file: which networks are attacked by what.

data = "cifar10:test"
limit = 1000                      # samples; every [[attack]] may have fewer
seed = 0
attack_seeds = 8                  # `tinyguard harden evaluate`: masks that an attack averages over
scoring_seeds = 10                # and others that stochastic networks are scored with

[[network]]
name = "int8"
undefended = true                 # what `harden evaluate` compares costs with; the first where it is missing
model = "model.tflite"            # paths are relative to the study file
source = "network.py:logits"      # the float source; transfer and backend = "float" need it
filter_gradient = "identity"      # how gradients pass input filters; "smooth" where it is missing
filters = ["median:3", "tv:4:20"] # put before the network, as `tinyguard harden filter` does
stochastic = {p = 0.1, passes = 10}     # and `tinyguard harden stochastic`: sites, p, passes, seed
squeezing = {squeezers = ["median:3"], threshold = 395}   # and `tinyguard harden squeeze`, in 1/256
purify = {pixel_cnn = "pixel-cnn.npz", eps = "16/255"}   # Pixel Defend, on the host before all else
detector = "ignored"              # gradients of the raw input alone; "aware" where it is missing
output = "class"                  # of several outputs the one that is the answer, by name or number
backend = "simulator"             # where answers come from: simulator, litert, xnnpack, float, a serial port

[[attack]]
attack = "pgd"
setting = ["white-box", "transfer"]
eps = ["1codes", "2/255", 0.008]
steps = 20                        # every other key is a parameter of the attack
networks = ["int8"]               # all where it is missing
label = "PGD-20"                  # its name in the tables
on = ["exit:1", "average"]        # a network with exits: what the attack is on; "answer" where it is missing
keep_answer = true                # a slowdown that keeps the last exit right
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyguard.attacks.exit_goals import parse_goal
from tinyguard.attacks.fresh_masks import FreshMasks
from tinyguard.backends.choose import is_port
from tinyguard.campaigns.fields import flag, known, listed, number, one_of, tables, text
from tinyguard.campaigns.hardening import Hardening, hardening_of
from tinyguard.campaigns.purifier import Purifier, purifier_of
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import DETECTORS, SHOWS, TARGET_BACKENDS
from tinyguard.robustness.threat_model import SETTINGS
from tinyguard.simulator.rules import GRADIENTS

_STUDY_KEYS = {"data", "limit", "seed", "shard", "attack_seeds", "scoring_seeds", "network", "attack"}
_NETWORK_KEYS = {
    *("name", "model", "source", "backend", "scores", "grid", "filter_gradient"),
    *("filters", "stochastic", "squeezing", "purify", "detector", "undefended", "output"),
}
_ATTACK_KEYS = {
    *("attack", "label", "setting", "eps", "networks", "limit", "targeted", "on", "keep_answer", "scores"),
}
_GRIDS = ("codes", "pixels")
_LIMIT = 1000
_SHARD = 250
_LEAST_SCORING_SEEDS = 10


@dataclass(frozen=True)
class NetworkEntry:
    """A network under attack. `model` is a path, `source` as `tinyguard attack --source` takes it.

    `output`: of several the one that is the answer. `hardening` is still to be written into a file of its
    own. `masks`: the attacker of a stochastic network does not know the file's seed. `on` and `keep_answer`:
    what one attack on a network with exits is after.
    """

    name: str
    model: str
    source: str | None
    backend: str
    scores: str
    grid: str | None
    filter_gradient: str = GRADIENTS[0]
    undefended: bool = False
    hardening: Hardening | None = None
    masks: FreshMasks | None = None
    detector: str = DETECTORS[0]
    purifier: Purifier | None = None
    output: str | None = None
    on: str | None = None
    keep_answer: bool = False


@dataclass(frozen=True)
class AttackEntry:
    """An attack with its parameters, budgets (None: the attack has none) and settings; `on`: of networks with
    exits, None for the answer; `scores`: what queries see, in place of what the network says."""

    attack: str
    label: str
    settings: tuple[str, ...]
    eps: tuple[float | str | None, ...]
    networks: tuple[str, ...]
    limit: int
    targeted: str | None
    parameters: tuple[tuple[str, Any], ...]
    on: tuple[str | None, ...] = (None,)
    keep_answer: bool = False
    scores: str | None = None


@dataclass(frozen=True)
class Study:
    """What a study file says. `shard`: samples that are one piece of work."""

    path: Path
    data: str
    seed: int
    shard: int
    networks: tuple[NetworkEntry, ...]
    attacks: tuple[AttackEntry, ...]
    attack_seeds: int = FreshMasks.attack_seeds
    scoring_seeds: int = FreshMasks.scoring_seeds

    @property
    def limit(self) -> int:
        """The most samples any attack takes."""
        return max(entry.limit for entry in self.attacks)

    def network(self, name: str) -> NetworkEntry:
        return next(entry for entry in self.networks if entry.name == name)


def read_study(path: Path, limit: int | None = None) -> Study:
    """The study in a file, with at most `limit` samples per attack where that is given.

    Raises TinyguardError that names the file, the table and what is wrong with it.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise TinyguardError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TinyguardError(f"{path} is not valid TOML: {error}") from None
    try:
        return _study(Path(path), content, limit)
    except TinyguardError as error:
        raise TinyguardError(f"{path}: {error}") from None


def _study(path: Path, content: dict[str, Any], most: int | None) -> Study:
    known(content, _STUDY_KEYS, "the study")
    networks = tuple(_network(path.parent, entry) for entry in tables(content, "network"))
    names = tuple(entry.name for entry in networks)
    if len(set(names)) < len(names):
        raise TinyguardError("two networks have one name: give each its own")
    limit = number(content.get("limit", _LIMIT), "limit")
    limit = limit if most is None else min(limit, most)
    attacks = tuple(_attack(entry, names, limit) for entry in tables(content, "attack"))
    rows = [(entry.label, name) for entry in attacks for name in entry.networks]
    for label, name in rows:
        if rows.count((label, name)) > 1:
            raise TinyguardError(
                f'two [[attack]] tables for network {name} are called {label!r}: give one a label = "..."'
            )
    for entry in attacks:
        for name in entry.networks:
            network = next(n for n in networks if n.name == name)
            if "transfer" in entry.settings and network.source is None:
                raise TinyguardError(f"[[attack]] {entry.label}: transfer needs the source of network {name}")
    return Study(
        path,
        text(content.get("data"), "data"),
        number(content.get("seed", 0), "seed", least=0),
        number(content.get("shard", _SHARD), "shard"),
        networks,
        attacks,
        number(content.get("attack_seeds", FreshMasks.attack_seeds), "attack_seeds"),
        number(content.get("scoring_seeds", FreshMasks.scoring_seeds), "scoring_seeds", _LEAST_SCORING_SEEDS),
    )


def _network(folder: Path, entry: dict[str, Any]) -> NetworkEntry:
    known(entry, _NETWORK_KEYS, "[[network]]")
    model = folder / text(entry.get("model"), "[[network]] model")
    if not model.is_file():
        raise TinyguardError(f"[[network]] model {model} is not there")
    source = entry.get("source")
    if source is not None:
        file, colon, function = text(source, "[[network]] source").partition(":")
        source = f"{folder / file}{colon}{function}" if (folder / file).exists() else source
    name = text(entry.get("name", model.stem), "[[network]] name")
    backend = text(entry.get("backend", "simulator"), f"[[network]] {name}: backend")
    if backend == "float" and source is None:
        raise TinyguardError(f'[[network]] {name}: backend = "float" needs a source')
    if backend not in TARGET_BACKENDS and not is_port(backend):
        names = ", ".join(TARGET_BACKENDS)
        raise TinyguardError(
            f"[[network]] {name}: no back end named {backend!r}; known: {names}, or a serial port"
        )
    scores = one_of(entry.get("scores", "output"), SHOWS, f"[[network]] {name}: scores")
    grid = one_of(entry["grid"], _GRIDS, f"[[network]] {name}: grid") if "grid" in entry else None
    gradient = entry.get("filter_gradient", GRADIENTS[0])
    gradient = one_of(gradient, GRADIENTS, f"[[network]] {name}: filter_gradient")
    detector = one_of(entry.get("detector", DETECTORS[0]), DETECTORS, f"[[network]] {name}: detector")
    undefended = flag(entry.get("undefended", False), f"[[network]] {name}: undefended")
    hardening = hardening_of(entry, f"[[network]] {name}")
    purifier = None
    if "purify" in entry:
        purifier = purifier_of(entry["purify"], folder, f"[[network]] {name}: purify")
        if backend != "simulator":
            raise TinyguardError(
                f"[[network]] {name}: purify runs before the simulator alone: leave out backend"
            )
    return NetworkEntry(
        name,
        str(model),
        source,
        backend,
        scores,
        grid,
        gradient,
        undefended,
        hardening,
        detector=detector,
        purifier=purifier,
        output=_output(entry, name),
    )


def _output(entry: dict[str, Any], name: str) -> str | None:
    wanted = entry.get("output")
    if wanted is None or isinstance(wanted, str):
        return wanted
    return str(number(wanted, f"[[network]] {name}: output", 0))


def _attack(entry: dict[str, Any], names: tuple[str, ...], limit: int) -> AttackEntry:
    name = text(entry.get("attack"), "[[attack]] attack")
    where = f"[[attack]] {name}"
    settings = listed(entry.get("setting", []))
    for setting in settings:
        if setting not in SETTINGS:
            raise TinyguardError(f"{where}: no setting {setting!r}; known: {', '.join(SETTINGS)}")
    wanted = tuple(listed(entry.get("networks", list(names))))
    for network in wanted:
        if network not in names:
            raise TinyguardError(f"{where}: no network {network!r}; known: {', '.join(names)}")
    eps = listed(entry.get("eps", [None]))
    if not eps:
        raise TinyguardError(f'{where}: eps is empty: give budgets, as in eps = ["2codes", "8/255"]')
    parameters = tuple(sorted((k, v) for k, v in entry.items() if k not in _ATTACK_KEYS))
    return AttackEntry(
        name,
        text(entry.get("label", name), f"{where}: label"),
        tuple(settings),
        tuple(eps),
        wanted,
        min(limit, number(entry.get("limit", limit), f"{where}: limit")),
        str(entry["targeted"]) if "targeted" in entry else None,
        parameters,
        tuple(_goal(on, where) for on in listed(entry.get("on", [None]))),
        flag(entry.get("keep_answer", False), f"{where}: keep_answer"),
        one_of(entry["scores"], SHOWS, f"{where}: scores") if "scores" in entry else None,
    )


def _goal(on: Any, where: str) -> str | None:
    if on is not None:
        try:
            parse_goal(text(on, f"{where}: on"))
        except TinyguardError as error:
            raise TinyguardError(f"{where}: {error}") from None
    return on
