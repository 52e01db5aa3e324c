"""A study file: which networks are attacked by what.

data = "cifar10:test"
limit = 1000                      # samples; every [[attack]] may have fewer
seed = 0

[[network]]
name = "int8"
model = "model.tflite"            # paths are relative to the study file
source = "network.py:logits"      # the float source; transfer and backend = "float" need it
filter_gradient = "identity"      # how gradients pass input filters; "smooth" where it is missing
backend = "simulator"             # where answers come from: simulator, litert, xnnpack, float, a serial port

[[attack]]
attack = "pgd"
setting = ["white-box", "transfer"]
eps = ["1codes", "2/255", 0.008]
steps = 20                        # every other key is a parameter of the attack
networks = ["int8"]               # all where it is missing
label = "PGD-20"                  # its name in the tables
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyguard.backends.choose import is_port
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.settings import SETTINGS
from tinyguard.evaluation.target import SHOWS, TARGET_BACKENDS
from tinyguard.operators._filter import GRADIENTS

_STUDY_KEYS = {"data", "limit", "seed", "shard", "network", "attack"}
_NETWORK_KEYS = {"name", "model", "source", "backend", "scores", "grid", "filter_gradient"}
_ATTACK_KEYS = {"attack", "label", "setting", "eps", "networks", "limit", "targeted"}
_GRIDS = ("codes", "pixels")
_LIMIT = 1000
_SHARD = 250


@dataclass(frozen=True)
class NetworkEntry:
    """A network under attack. `model` is a path, `source` as `tinyguard attack --source` takes it."""

    name: str
    model: str
    source: str | None
    backend: str
    scores: str
    grid: str | None
    filter_gradient: str = GRADIENTS[0]


@dataclass(frozen=True)
class AttackEntry:
    """An attack with its parameters, budgets (None: the attack has none) and settings."""

    attack: str
    label: str
    settings: tuple[str, ...]
    eps: tuple[float | str | None, ...]
    networks: tuple[str, ...]
    limit: int
    targeted: str | None
    parameters: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Study:
    """What a study file says. `shard`: samples that are one piece of work."""

    path: Path
    data: str
    seed: int
    shard: int
    networks: tuple[NetworkEntry, ...]
    attacks: tuple[AttackEntry, ...]

    @property
    def limit(self) -> int:
        """The most samples any attack takes."""
        return max(entry.limit for entry in self.attacks)

    def network(self, name: str) -> NetworkEntry:
        return next(entry for entry in self.networks if entry.name == name)


def read_study(path: Path, limit: int | None = None) -> Study:
    """The study in a file, with at most `limit` samples an attack where that is given.

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
    _known(content, _STUDY_KEYS, "the study")
    networks = tuple(_network(path.parent, entry) for entry in _tables(content, "network"))
    names = tuple(entry.name for entry in networks)
    if len(set(names)) < len(names):
        raise TinyguardError("two networks have one name: give each its own")
    limit = _number(content.get("limit", _LIMIT), "limit")
    limit = limit if most is None else min(limit, most)
    attacks = tuple(_attack(entry, names, limit) for entry in _tables(content, "attack"))
    labels = [entry.label for entry in attacks]
    doubled = next((label for label in labels if labels.count(label) > 1), None)
    if doubled:
        raise TinyguardError(f'two [[attack]] tables are called {doubled!r}: give one a label = "..."')
    for entry in attacks:
        for name in entry.networks:
            network = next(n for n in networks if n.name == name)
            if "transfer" in entry.settings and network.source is None:
                raise TinyguardError(f"[[attack]] {entry.label}: transfer needs the source of network {name}")
    return Study(
        path,
        _text(content.get("data"), "data"),
        _number(content.get("seed", 0), "seed", least=0),
        _number(content.get("shard", _SHARD), "shard"),
        networks,
        attacks,
    )


def _network(folder: Path, entry: dict[str, Any]) -> NetworkEntry:
    _known(entry, _NETWORK_KEYS, "[[network]]")
    model = folder / _text(entry.get("model"), "[[network]] model")
    if not model.is_file():
        raise TinyguardError(f"[[network]] model {model} is not there")
    source = entry.get("source")
    if source is not None:
        file, colon, function = _text(source, "[[network]] source").partition(":")
        source = f"{folder / file}{colon}{function}" if (folder / file).exists() else source
    name = _text(entry.get("name", model.stem), "[[network]] name")
    backend = _text(entry.get("backend", "simulator"), f"[[network]] {name}: backend")
    if backend == "float" and source is None:
        raise TinyguardError(f'[[network]] {name}: backend = "float" needs a source')
    if backend not in TARGET_BACKENDS and not is_port(backend):
        known = ", ".join(TARGET_BACKENDS)
        raise TinyguardError(
            f"[[network]] {name}: no back end named {backend!r}; known: {known}, or a serial port"
        )
    scores = _one_of(entry.get("scores", "output"), SHOWS, f"[[network]] {name}: scores")
    grid = _one_of(entry["grid"], _GRIDS, f"[[network]] {name}: grid") if "grid" in entry else None
    gradient = entry.get("filter_gradient", GRADIENTS[0])
    gradient = _one_of(gradient, GRADIENTS, f"[[network]] {name}: filter_gradient")
    return NetworkEntry(name, str(model), source, backend, scores, grid, gradient)


def _attack(entry: dict[str, Any], names: tuple[str, ...], limit: int) -> AttackEntry:
    name = _text(entry.get("attack"), "[[attack]] attack")
    where = f"[[attack]] {name}"
    settings = _list(entry.get("setting", []))
    for setting in settings:
        if setting not in SETTINGS:
            raise TinyguardError(f"{where}: no setting {setting!r}; known: {', '.join(SETTINGS)}")
    wanted = tuple(_list(entry.get("networks", list(names))))
    for network in wanted:
        if network not in names:
            raise TinyguardError(f"{where}: no network {network!r}; known: {', '.join(names)}")
    eps = _list(entry.get("eps", [None]))
    if not eps:
        raise TinyguardError(f'{where}: eps is empty: give budgets, as in eps = ["2codes", "8/255"]')
    parameters = tuple(sorted((k, v) for k, v in entry.items() if k not in _ATTACK_KEYS))
    return AttackEntry(
        name,
        _text(entry.get("label", name), f"{where}: label"),
        tuple(settings),
        tuple(eps),
        wanted,
        min(limit, _number(entry.get("limit", limit), f"{where}: limit")),
        str(entry["targeted"]) if "targeted" in entry else None,
        parameters,
    )


def _tables(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    tables = content.get(key)
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise TinyguardError(f"no [[{key}]] table: add one")
    return tables


def _known(entry: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise TinyguardError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise TinyguardError(f"{where} is missing or not a text")
    return value


def _one_of(value: Any, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        raise TinyguardError(f"{where} is {value!r}; known: {', '.join(known)}")
    return str(value)


def _number(value: Any, where: str, least: int = 1) -> int:
    if type(value) is not int or value < least:
        raise TinyguardError(f"{where} is {value!r}, and a whole number from {least} on is needed")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
