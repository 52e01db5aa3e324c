# SPDX-License-Identifier: Apache-2.0
"""The network on a board at a serial port, as a back end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType

import numpy as np

from tinyguard.device.client import Device
from tinyguard.device.settings_exchange import Told
from tinyguard.device.transport import DEFAULT_BAUD
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.settings import values_of


class DeviceBackend:
    """Runs `graph` on the board at `port`; WrongModelError when the board holds another network.

    The board's settings have the values that they have in `graph` until it is closed.

    After `run`, `counts` is int64 (N,) in `unit` ("cycles" or "instructions"), and `disturbed` bool (N,)
    marks those that are only upper bounds. `on_sample`, when set, gets the number of samples done.
    """

    name = "device"

    def __init__(self, port: str, graph: Graph, baud: int = DEFAULT_BAUD) -> None:
        self.device = Device(port, baud)
        try:
            self.device.connect(graph.sha256 or None)
            self._before = hold(self.device, graph)
        except BaseException:
            self.device.close()
            raise
        self.unit = self.device.description.unit
        self.counts = np.zeros(0, np.int64)
        self.disturbed = np.zeros(0, bool)
        self.on_sample: Callable[[int], None] | None = None

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Codes (N, *tensor.shape[1:]) of each graph input; the same of each output. See Device.run."""
        batch = self.device.run(*inputs, on_sample=self.on_sample)
        self.counts, self.disturbed = batch.counts, batch.disturbed
        return batch.outputs

    def close(self) -> None:
        """Put the board's settings back to what they were, and close the port."""
        put_back(self.device, self._before)
        self._before = {}
        self.device.close()


def hold(device: Device, graph: Graph) -> dict[str, Told]:
    """Give a connected board the values that its settings have in `graph`; what they were before."""
    told = _told(device, graph)
    _apply(device, graph, told, ())
    return told


def put_back(device: Device, before: Mapping[str, Told]) -> None:
    """Settings as the board had them `before`: values that somebody gave, and those that it drew."""
    with suppress(TinyguardError):  # a board that is gone has forgotten them
        for name in [name for name, setting in before.items() if setting.drawn]:
            device.restore(name)
        given = {name: setting for name, setting in before.items() if not setting.drawn}
        _set(device, {name: old.value for name, old in given.items() if device.tell(name) != old})


def agreed(
    device: Device,
    graph: Graph,
    given: Mapping[str, int | Sequence[int]],
    lent: Mapping[str, int | Sequence[int]] = MappingProxyType({}),
) -> tuple[Graph, dict[str, Told]]:
    """The graph with what is in force on a connected board once it has `given` and `lent`, for the host to
    run, and what is to be put back afterwards: what the board drew until then, and what is `lent`.

    What the board would draw gets the graph's value, so that both compute the same.
    """
    told = _told(device, graph)
    values = {name: setting.value for name, setting in told.items() if not setting.drawn}
    new = {**given, **lent}
    changed = with_settings(with_settings(graph, values), new)
    _apply(device, changed, told, tuple(new))
    return changed, {
        name: setting
        for name, setting in told.items()
        if name in lent or (setting.drawn and name not in given)
    }


def _told(device: Device, graph: Graph) -> dict[str, Told]:
    device.declare(graph.settings)
    return {setting.name: device.tell(setting.name) for setting in graph.settings}


def _apply(device: Device, graph: Graph, told: Mapping[str, Told], together: tuple[str, ...]) -> None:
    """Set what differs from the graph, first the settings that are given `together`."""
    values = values_of(graph.settings)
    other = {name for name, setting in told.items() if setting.drawn or setting.value != values[name]}
    device.set({name: values[name] for name in together})
    _set(device, {name: values[name] for name in sorted(other.difference(together))})


def _set(device: Device, values: Mapping[str, tuple[int, ...]]) -> None:
    """In one frame, so that what belongs together is never half set, or one by one where they fit none."""
    for part in [values] if device.can_set_at_once(values) else [{name: values[name]} for name in values]:
        device.set(part)


@contextmanager
def borrowed(device: Device, before: Mapping[str, Told]) -> Iterator[None]:
    """Afterwards the board has these settings as `before` again."""
    try:
        yield
    finally:
        put_back(device, before)
