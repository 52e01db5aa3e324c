# SPDX-License-Identifier: Apache-2.0
"""Back ends by name, as the command line and the API give them."""

import importlib.util
from pathlib import Path

from tinyguard.backends import Backend, OpenBackend
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph

HOST_BACKENDS = ("simulator", "litert", "reference", "compiled")


def open_backend(name: str, path: Path, graph: Graph) -> Backend:
    """A back end for the network at `path`, read as `graph`: one of HOST_BACKENDS or a serial port.

    Raises TinyguardError when a package it needs is missing or the port does not answer.
    """
    if name == "simulator":
        return exact_host_backend(graph)
    if name == "reference":
        from tinyguard.backends.reference import ReferenceBackend

        return ReferenceBackend(graph)
    if name == "compiled":
        from tinyguard.backends.compiled import CompiledBackend

        return CompiledBackend(graph)
    if name == "litert":
        from tinyguard.backends.added import added_after
        from tinyguard.backends.filtered import behind_filters
        from tinyguard.backends.litert import LiteRTBackend

        inside = bool(added_after(graph))
        return behind_filters(LiteRTBackend(path, preserve_all_tensors=inside), graph)
    if is_port(name):
        from tinyguard.backends.device import DeviceBackend

        return DeviceBackend(name, graph)
    raise TinyguardError(f"no back end named {name!r}; known: {', '.join(HOST_BACKENDS)}, or a serial port")


def is_port(name: str) -> bool:
    """Whether a back end's name is a serial port: a device path, COM3 or a pyserial URL."""
    com = name.upper().startswith("COM") and name not in HOST_BACKENDS
    return com or any(sign in name for sign in "/\\:")


def exact_host_backend(graph: Graph) -> OpenBackend:
    """The simulator where torch is installed, otherwise the NumPy reference: the same bytes."""
    if importlib.util.find_spec("torch") is None:
        from tinyguard.backends.reference import ReferenceBackend

        return ReferenceBackend(graph)
    from tinyguard.simulator.network import Simulator

    return Simulator(graph)
