"""Attacks on the network that the device runs: one file an attack, vectorised over the samples."""

from __future__ import annotations

import importlib

from tinyguard.attacks.problem import Attack
from tinyguard.errors import unknown

# name: file and class; imported when it is asked for
ATTACKS = {
    "fgsm": ("pgd", "FGSM"),
    "pgd": ("pgd", "PGD"),
    "apgd-ce": ("apgd", "APGDCE"),
    "apgd-dlr": ("apgd", "APGDDLR"),
    "apgd-t": ("apgd", "APGDTargeted"),
    "fab-t": ("fab", "FABTargeted"),
    "square": ("square", "Square"),
    "autoattack": ("autoattack", "AutoAttack"),
    "deepfool": ("deepfool", "DeepFool"),
    "jsma": ("jsma", "JSMA"),
    "cw-l2": ("carlini_wagner", "CarliniWagnerL2"),
    "cw-linf": ("carlini_wagner_linf", "CarliniWagnerLinf"),
    "ead": ("ead", "EAD"),
    "zoo": ("zoo", "ZOO"),
    "boundary": ("boundary", "Boundary"),
    "geoda": ("geoda", "GeoDA"),
    "hopskipjump": ("hopskipjump", "HopSkipJump"),
    "diva": ("diva", "DIVA"),
}


def find_attack(name: str) -> type[Attack]:
    """The class of an attack. Raises TinyguardError with the nearest name for an unknown one."""
    if name not in ATTACKS:
        raise unknown("attack", name, ATTACKS)
    module, cls = ATTACKS[name]
    found: type[Attack] = getattr(importlib.import_module(f"tinyguard.attacks.{module}"), cls)
    return found
