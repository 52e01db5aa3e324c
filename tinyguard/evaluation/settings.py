"""Which attack may run how: its setting, its norm, its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    from tinyguard.attacks.problem import Attack
    from tinyguard.evaluation.target import Target

SETTINGS = ("white-box", "transfer", "black-box")
_ALIASES = {"queries": "max_queries", "steps": "iterations"}


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
    if setting == "transfer" and target.is_float:
        raise TinyguardError("the float back end is the source itself: leave out --setting transfer")
    if setting == "transfer" and target.float_victim is None:
        raise TinyguardError("the transfer setting crafts on the float network: type --source FILE")


def make_attack(cls: type[Attack], given: Mapping[str, Any], settings: Mapping[str, str]) -> Attack:
    """An attack with the parameters `given` (None: its own default) and `settings`, texts by their names.

    Raises TinyguardError for parameters that the attack does not have, norms that it does not know, and
    texts that are not of the parameter's kind.
    """
    known = {f.name: f for f in dataclasses.fields(cls) if f.compare}  # type: ignore[arg-type]
    chosen: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "norm" and value not in cls.norms:
            raise TinyguardError(f"{cls.name} has no norm {value}: type --norm {' or '.join(cls.norms)}")
        name = _ALIASES[name] if name not in known and _ALIASES.get(name) in known else name
        if name in known:
            chosen[name] = value
        elif name not in ("norm", "eps"):
            raise TinyguardError(f"{cls.name} has no parameter {name}; {_listed(known)}")
    for name, text in settings.items():
        if name not in known:
            raise TinyguardError(f"{cls.name} has no parameter {name}; {_listed(known)}")
        chosen[name] = _value(cls.name, name, text, known[name].default)
    return cls(**chosen)


def _listed(known: Mapping[str, Any]) -> str:
    return f"it has {', '.join(known)}" if known else "it has none"


def _value(attack: str, name: str, text: str, default: Any) -> Any:
    """`text` as the kind of the parameter's default; a parameter that may be None takes any number."""
    if text.lower() == "none" and default is None:
        return None
    kinds: dict[type, Callable[[str], Any]] = {bool: _boolean, int: int, float: float, str: str}
    kind = kinds.get(type(default), _number)
    try:
        return kind(text)
    except ValueError:
        raise TinyguardError(
            f"{name} of {attack} is {type(default).__name__} ({default}) and was given {text!r}"
        ) from None


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _number(text: str) -> int | float | tuple[Any, ...]:
    if "," in text:
        return tuple(_number(part) for part in text.split(",") if part)  # type: ignore[misc]
    try:
        return int(text)
    except ValueError:
        return float(text)
