"""The network on a board at a serial port, as a back end."""

from collections.abc import Callable

import numpy as np

from tinyguard.device.client import Device
from tinyguard.device.transport import DEFAULT_BAUD
from tinyguard.graph import Graph


class DeviceBackend:
    """Runs `graph` on the board at `port`; WrongModelError when the board holds another network.

    After `run`, `counts` is int64 (N,) in `unit` ("cycles" or "instructions"), and `disturbed` bool (N,)
    marks those that are only upper bounds. `on_sample`, when set, gets the number of samples done.
    """

    name = "device"

    def __init__(self, port: str, graph: Graph, baud: int = DEFAULT_BAUD) -> None:
        self.device = Device(port, baud)
        try:
            self.device.connect(graph.sha256 or None)
            fix_seed(self.device, graph)
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


def fix_seed(device: Device, graph: Graph) -> None:
    """Let a connected board draw the masks that the host draws: those of the file's seed."""
    for node in graph.nodes:
        if node.operator == "DROPOUT":
            device.fix_seed(int(node.options["seed"]))
            return
