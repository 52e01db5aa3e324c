"""The network on a board at a serial port, as a back end."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tinyguard.device.client import Device
from tinyguard.device.transport import DEFAULT_BAUD
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.settings import values_of


class DeviceBackend:
    """Runs `graph` on the board at `port`; WrongModelError when the board holds another network.

    The board's settings get the values that they have in `graph`.

    After `run`, `counts` is int64 (N,) in `unit` ("cycles" or "instructions"), and `disturbed` bool (N,)
    marks those that are only upper bounds. `on_sample`, when set, gets the number of samples done.
    """

    name = "device"

    def __init__(self, port: str, graph: Graph, baud: int = DEFAULT_BAUD) -> None:
        self.device = Device(port, baud)
        try:
            self.device.connect(graph.sha256 or None)
            hold(self.device, graph)
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
        self.device.close()


def hold(device: Device, graph: Graph) -> None:
    """Give a connected board the values that its settings have in `graph`."""
    device.declare(graph.settings)
    device.set(values_of(graph.settings))


def agreed(device: Device, graph: Graph, given: Mapping[str, int | Sequence[int]]) -> Graph:
    """The graph with what is in force on a connected board once it has `given`, for the host to run.

    What the board would draw gets the graph's value, so that both compute the same.
    """
    device.declare(graph.settings)
    told = {setting.name: device.tell(setting.name) for setting in graph.settings}
    values = {name: one.value for name, one in told.items() if not one.drawn}
    found = with_settings(with_settings(graph, values), given)
    device.set(values_of(found.settings))
    return found
