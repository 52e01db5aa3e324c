# SPDX-License-Identifier: Apache-2.0
"""Which attack may run how: its setting, its norm, its parameters."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    from tinyguard.attacks.problem import Attack
    from tinyguard.robustness.attacked_network import Target

SETTINGS = ("white-box", "transfer", "black-box")
_ALIASES = {"queries": "max_queries"}
_MAY_BE_ZERO = ("polish_queries",)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def default_setting(attack: Attack | type[Attack]) -> str:
    """White-box for attacks that take gradients, black-box for the others."""
    return "white-box" if attack.access == "gradient" else "black-box"


def norm_of(attack: Attack) -> str:
    """The norm that an attack works in."""
    norm: str = getattr(attack, "norm", attack.norms[0])
    return norm


def parameters_of(attack: Attack) -> dict[str, Any]:
    """An attack's parameters by name, as they can be written down."""
    known = dataclasses.fields(attack)  # type: ignore[arg-type]
    return {field.name: getattr(attack, field.name) for field in known if field.compare}


def hides_from_source(attack: Attack | type[Attack]) -> bool:
    """Whether only what the float source does not notice is a success."""
    return bool(getattr(attack, "hides_from_source", False))


def check_access(attack: Attack | type[Attack], setting: str) -> None:
    """Raise TinyguardError unless the attack's kind of access fits the setting."""
    if setting not in SETTINGS:
        raise TinyguardError(f"no setting named {setting!r}; known: {', '.join(SETTINGS)}")
    if setting == "white-box" and attack.access != "gradient":
        raise TinyguardError(
            f"{attack.name} takes no gradients, so it is no white-box attack: type --setting black-box"
        )
    if setting == "black-box" and attack.access == "gradient":
        raise TinyguardError(
            f"{attack.name} takes gradients, which a black box does not give: type --setting white-box or "
            "transfer"
        )


def check_setting(target: Target, attack: Attack | type[Attack], setting: str) -> None:
    """Raise TinyguardError unless `attack` can run in `setting` against `target`."""
    check_access(attack, setting)
    if hides_from_source(attack) and (setting == "transfer" or target.is_float):
        raise TinyguardError(
            f"{attack.name} fools the integer network and not its float source: type --setting white-box, "
            "and leave out --backend float"
        )
    if setting == "transfer" and target.is_float:
        raise TinyguardError("the float back end is the source itself: leave out --setting transfer")
    if setting == "transfer" and target.float_victim is None:
        raise TinyguardError("the transfer setting crafts on the float network: type --source FILE")


def make_attack(cls: type[Attack], given: Mapping[str, Any], settings: Mapping[str, str]) -> Attack:
    """An attack with the parameters `given` (None: its own default) and `settings`, texts by their names.

    Raises TinyguardError for parameters that the attack does not have, norms that it does not know, and
    values that are not of the parameter's kind, not finite, or too small.
    """
    known = {f.name: f for f in dataclasses.fields(cls) if f.compare}  # type: ignore[arg-type]
    chosen: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "norm":
            _check_norm(cls, value)
        name = _ALIASES[name] if name not in known and _ALIASES.get(name) in known else name
        if name in known:
            chosen[name] = _value(cls.name, known[name], value)
        elif name not in ("norm", "eps"):
            raise TinyguardError(f"{cls.name} has no parameter {name}; {_listed(known)}")
    for name, text in settings.items():
        if name not in known:
            raise TinyguardError(f"{cls.name} has no parameter {name}; {_listed(known)}")
        chosen[name] = _value(cls.name, known[name], _parsed(text, _kind(known[name])))
        if name == "norm":
            _check_norm(cls, chosen[name])
    return cls(**chosen)


def _check_norm(cls: type[Attack], norm: Any) -> None:
    if norm not in cls.norms:
        raise TinyguardError(f"{cls.name} has no norm {norm}: type --norm {' or '.join(cls.norms)}")


def _listed(known: Mapping[str, Any]) -> str:
    return f"it has {', '.join(known)}" if known else "it has none"


def _kind(parameter: dataclasses.Field[Any]) -> str:
    """The declared type as it is written, whether or not the attack's module postpones annotations."""
    return parameter.type.__name__ if isinstance(parameter.type, type) else str(parameter.type)


def _parsed(text: str, kind: str) -> Any:
    """`text` as a value of the declared `kind`; itself where it is none."""
    word = text.lower()
    if word == "none" and kind.endswith("| None"):
        return None
    try:
        if kind.startswith("int"):
            return int(text)
        if kind.startswith("float"):
            return float(text)
    except ValueError:
        return text
    return _WORDS.get(word, text) if kind == "bool" else text


def _value(attack: str, parameter: dataclasses.Field[Any], value: Any) -> Any:
    """`value`, once it is of the declared kind. Counts are whole numbers from 1 on, other numbers finite and
    not below 0."""
    kind, name = _kind(parameter), parameter.name
    if value is None and kind.endswith("| None"):
        return None
    whole, least = kind.startswith("int"), 1 if kind.startswith("int") and name not in _MAY_BE_ZERO else 0
    if whole or kind.startswith("float"):
        number = isinstance(value, numbers.Integral if whole else numbers.Real)
        if number and not isinstance(value, bool) and least <= value < math.inf:
            return int(value) if whole else float(value)
        what = f"a whole number from {least} on" if whole else "a finite number from 0 on"
    elif type(value).__name__ == kind:
        return value
    else:
        what = "true or false" if kind == "bool" else "a word"
    raise TinyguardError(f"{name} of {attack} is {what} and was given {value!r}")
