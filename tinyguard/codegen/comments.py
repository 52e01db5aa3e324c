# SPDX-License-Identifier: Apache-2.0
"""What generated C says of itself: each layer's comment, and the map of the arena."""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from tinyguard.codegen.memory import Buffer, MemoryPlan
from tinyguard.graph import Graph, Setting
from tinyguard.graph.settings import to_words
from tinyguard.operators import Operator

_WIDTH = 110
_MOST_NAMED = 3  # layers or lifetimes that a line lists before it counts


def comment(text: str) -> str:
    """A layer's name as it may stand inside a C comment: names come from files and may be hostile."""
    return re.sub(r"[^A-Za-z0-9_./:;, \[\]()-]", "_", text)[:100]


def extents(shape: Sequence[int]) -> str:
    """Such as 1 x 8 x 8 x 16."""
    return " x ".join(map(str, shape)) or "scalar"


def layer_comment(operator: Operator, kernel: str, steps: Sequence[int]) -> str:
    """Above the function that the layers `steps` share: name, shapes, products and kernel of the first."""
    computed = [t for t in operator.inputs if t is not None and not t.is_constant]
    inputs = ", ".join(extents(tensor.shape) for tensor in computed) or "constants"
    outputs = ", ".join(extents(tensor.shape) for tensor in operator.outputs)
    how = "view: no code, the same bytes" if operator.is_view else f"kernel: {kernel}"
    macs = f"; {operator.macs:,} MACs" if operator.macs else ""
    lines = [f"/* {comment(operator.name)}", f"   {inputs} -> {outputs}{macs}; {how}"]
    if len(steps) > 1:
        lines.append(f"   shared by {_listed('layer', steps[1:])}: the same at the same place")
    return "\n".join(lines) + " */\n"


def memory_map(graph: Graph, plan: MemoryPlan) -> str:
    """Which bytes of the arena hold what, while which layers run."""
    if not plan.arena_bytes:
        return ""
    alike: dict[tuple[int, int], list[Buffer]] = {}
    for buffer in sorted(plan.buffers, key=lambda b: (b.offset, b.size_bytes, b.first)):
        alike.setdefault((buffer.offset, buffer.size_bytes), []).append(buffer)
    lines = [
        f"/* The arena, {plan.arena_bytes} bytes: first and last byte, when they are in use, what they hold."
    ]
    for (offset, size), buffers in alike.items():
        if size:
            lines.append(_row(offset, size, _times(buffers, len(graph.nodes)), _held(graph, buffers)))
    lines += _settings(graph.settings, plan.setting_offset)
    return "\n".join(lines) + " */\n"


def _row(offset: int, size: int, when: str, what: str) -> str:
    return f"   {offset:7} {offset + size - 1:7}  {when:22} {what}"[:_WIDTH]


def _settings(settings: Sequence[Setting], offsets: Mapping[str, int]) -> list[str]:
    rows = []
    for setting in settings:
        size = 4 * len(to_words(setting.kind, setting.value))
        rows.append(_row(offsets[setting.name], size, "always", f"setting {comment(setting.name)}"))
    return rows


def _held(graph: Graph, buffers: Sequence[Buffer]) -> str:
    """Names of the tensors that lie in these bytes, the first buffer's."""
    tensors = buffers[0].tensors
    if not tensors:
        return "scratch"
    roles = [("input", graph.inputs), ("output", graph.outputs)]
    named = [f"{role} {group.index(t)}" for role, group in roles for t in tensors if t in group]
    return ", ".join([*named, comment(graph.tensors[tensors[0]].name)])


def _times(buffers: Sequence[Buffer], layers: int) -> str:
    spans = dict.fromkeys((max(b.first, 0), min(b.last, layers - 1)) for b in buffers)
    texts = [str(first) if first >= last else f"{first}-{last}" for first, last in spans]
    return _listed("layer", texts)


def _listed(what: str, entries: Iterable[int | str]) -> str:
    texts = [str(entry) for entry in entries]
    several = "s" if len(texts) > 1 or "-" in texts[0] else ""
    if len(texts) > _MOST_NAMED:
        return f"{what}s {texts[0]}, {texts[1]}, {len(texts) - 2} more"
    return f"{what}{several} {', '.join(texts)}"


def constant_comment(note: str, shape_text: str) -> str:
    """Above a constant array: its note, whose first line ends with the shape, wrapped."""
    first, *others = note.splitlines()
    lines = [wrapped for line in (f"{first}; {shape_text}", *others) for wrapped in wrap(line, _WIDTH - 6)]
    return "/* " + "\n   ".join(lines) + " */"
