# SPDX-License-Identifier: Apache-2.0
"""Graph -> C text: one function per layer, every constant array with its name, shape and layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinyguard.codegen.comments import comment, constant_comment, extents, layer_comment
from tinyguard.codegen.memory import MemoryPlan
from tinyguard.codegen.settings_tables import lengths_table, settings_table, stages_table
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.answer import DECISION, tensors_of
from tinyguard.graph.multi_exit import stages_of
from tinyguard.kernels import Kernel, choose
from tinyguard.operators import PORTABLE, Operator, Target
from tinyguard.operators.base import C_TYPE

_DTYPE_TAG = {"int8": "TG_INT8", "int16": "TG_INT16", "int32": "TG_INT32", "float32": "TG_FLOAT32"}
_NUMPY_C_TYPE = {**C_TYPE, "uint8": "uint8_t"}


@dataclass(frozen=True)
class Constant:
    """One constant array of weights.c."""

    name: str
    values: np.ndarray
    note: str

    @property
    def c_type(self) -> str:
        return _NUMPY_C_TYPE[str(self.values.dtype)]


@dataclass
class ModelSource:
    """The C of one model. `prefix` starts each of its symbols; `arena` is the array it works in."""

    graph: Graph
    operators: Sequence[Operator]
    plan: MemoryPlan
    target: Target = PORTABLE
    prefix: str = "tg"
    arena: str = "tg_arena"
    constants: list[Constant] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)  # headers of firmware/kernels
    layer_kernels: list[str] = field(default_factory=list)  # names of the kernels chosen, one per layer
    shared: dict[str, str] = field(default_factory=dict)  # functions that layers share: name -> C text
    functions: str = ""

    @property
    def constant_bytes(self) -> int:
        """Exact size of section .tg_constants, which the linker script ends at a multiple of 8."""
        unit = constant_alignment(self.constants)
        return _up(sum(_up(constant.values.nbytes, unit) for constant in self.constants), 8)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def constant_alignment(constants: Sequence[Constant]) -> int:
    """Every array is aligned and padded alike, so that their order does not change the total."""
    return max([4, *(constant.values.dtype.itemsize for constant in constants)])


def emit_model(
    graph: Graph,
    operators: Sequence[Operator],
    plan: MemoryPlan,
    target: Target = PORTABLE,
    prefix: str = "tg",
    kernels: Sequence[Kernel] | None = None,
    arena: str = "tg_arena",
) -> ModelSource:
    """Print every layer of the graph for `target`, for which `plan` was made.

    `kernels` are those that the plan was made with; without them `choose` is asked.
    """
    kernels = choose(operators, target) if kernels is None else kernels
    source = ModelSource(graph, operators, plan, target, prefix, arena)
    source.layer_kernels = [kernel.name for kernel in kernels]
    parts: list[str | _Function] = []
    table = []
    functions: dict[str, _Function] = {}  # by body; the passes of a stochastic network share theirs
    tensors: dict[str, str] = {}
    for step, (operator, kernel) in enumerate(zip(operators, kernels, strict=True)):
        layer = _LayerEmission(source, operator, step)
        name = f"{prefix}_layer_{step:02d}"
        body = "" if operator.is_view else kernel.emit(operator, layer)
        if body not in functions:
            functions[body] = _Function(
                f"{name}_{operator.node.operator.lower()}", body, operator, kernel.name
            )
            parts.append(functions[body])
        function = functions[body]
        function.steps.append(step)
        rows = _tensor_rows(source, operator.outputs)
        if rows not in tensors:
            tensors[rows] = f"{name}_outputs"
            parts.append(_tensor_table(tensors[rows], rows))
        table.append(f"    {{{function.name}, {tensors[rows]}, {len(operator.outputs)}}},")
    texts = [part.text if isinstance(part, _Function) else part for part in parts]
    source.functions = "\n".join(texts) + "\n" + _description(source, table, tensors)
    return source


@dataclass
class _Function:
    """A function of model.c that the layers `steps` share."""

    name: str
    body: str
    operator: Operator
    kernel: str
    steps: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        lines = [f"    {line}" if line else "" for line in self.body.splitlines()]
        head = f"{layer_comment(self.operator, self.kernel, self.steps)}static void {self.name}(void)\n{{\n"
        return head + "".join(line + "\n" for line in lines) + "}\n"


def expression(source: ModelSource, tensor: int) -> str:
    """C expression of the arena bytes of a computed tensor."""
    return f"{source.arena} + {source.plan.tensor_offset[tensor]}"


class _LayerEmission:
    """What one layer may ask for while it prints itself: the `Emission` of operators/base.py."""

    def __init__(self, source: ModelSource, operator: Operator, step: int) -> None:
        self._source = source
        self._operator = operator
        self._step = step
        self.target = source.target

    def input(self, index: int) -> str:
        tensor = self._operator.input_tensor(index)
        origin = self._source.graph.tensors[self._source.plan.constants.get(tensor.index, tensor.index)]
        if origin.data is not None:
            return self.constant(f"input_{index}", origin.data)
        return f"(const {C_TYPE[tensor.dtype]} *)({expression(self._source, tensor.index)})"

    def output(self, index: int = 0) -> str:
        tensor = self._operator.outputs[index]
        return f"({C_TYPE[tensor.dtype]} *)({expression(self._source, tensor.index)})"

    def scratch(self) -> str:
        return f"(void *)({self._source.arena} + {self._source.plan.scratch_offset[self._step]})"

    def constant(self, role: str, values: np.ndarray, note: str = "") -> str:
        values = np.ascontiguousarray(values)
        for known in self._source.constants:
            if known.values.dtype == values.dtype and np.array_equal(known.values, values):
                return known.name
        name = f"{self._source.prefix}_{self._step:02d}_{self._operator.node.operator.lower()}_{role}"
        layer = comment(self._operator.name)
        self._source.constants.append(Constant(name, values, f"{layer}: {note}" if note else layer))
        return name

    def kernel(self, header: str) -> None:
        if header not in self._source.kernels:
            self._source.kernels.append(header)

    def setting(self, name: str) -> str:
        source = self._source
        kind = next(setting.kind for setting in source.graph.settings if setting.name == name)
        pointer = "uint32_t *" if kind == "uint64" else "const int32_t *"
        return f"({pointer})(void *)({source.arena} + {source.plan.setting_offset[name]})"

    def function(self, name: str, text: str) -> None:
        self._source.shared[name] = text


def _tensor_table(name: str, rows: str) -> str:
    return f"static const tg_tensor {name}[] = {{\n{rows}\n}};\n"


def _tensor_rows(source: ModelSource, tensors: Sequence[Tensor]) -> str:
    rows = []
    for tensor in tensors:
        quantization = tensor.quantization
        scale = float(np.float32(quantization.scale)) if quantization else 0.0
        zero_point = quantization.zero_point if quantization else 0
        offset = source.plan.tensor_offset.get(tensor.index)
        data = "0" if offset is None else f"{source.arena} + {offset}"
        shape = ", ".join(str(d) for d in tensor.shape) or "1"
        rows.append(
            f"    {{{data}, {tensor.size_bytes}, {scale.hex()}f, {zero_point}, "
            f"{_DTYPE_TAG.get(tensor.dtype, 0)}, {len(tensor.shape)}, {{{shape}}}}},"
        )
    return "\n".join(rows)


def _description(source: ModelSource, table: list[str], tables: Mapping[str, str]) -> str:
    """`tables`: names of tables of tensors by their rows, of which the outputs may be a beginning."""
    graph, prefix = source.graph, source.prefix
    tensors = graph.tensors
    digest = ", ".join(f"0x{byte:02x}" for byte in bytes.fromhex(graph.sha256 or "00" * 32))
    digest = digest[: 6 * 16 - 1] + "\n     " + digest[6 * 16 - 1 :]
    inputs = _tensor_table(f"{prefix}_inputs", _tensor_rows(source, [tensors[i] for i in graph.inputs]))
    rows = _tensor_rows(source, [tensors[i] for i in graph.outputs])
    known = next((name for more, name in tables.items() if f"{more}\n".startswith(f"{rows}\n")), None)
    outputs = "" if known else _tensor_table(f"{prefix}_outputs", rows)
    layers = f"static const tg_layer {prefix}_layers[] = {{\n" + "\n".join(table) + "\n};\n"
    settings = settings_table(graph.settings, source.arena, source.plan.setting_offset, prefix)
    lengths = lengths_table(graph, source.arena, source.plan.tensor_offset, prefix)
    stages = stages_table(graph, prefix)
    more = "".join(f"{table}\n" for table in (settings, lengths, stages) if table)
    decision = tensors_of(graph, DECISION)[-1:]
    taken = f"(const int32_t *)(void *)({expression(source, decision[0])})" if stages else "0"
    return f"""{inputs}
{outputs}
{layers}
{more}const tg_model {prefix}_the_model = {{
    {{{digest}}},
    {prefix}_inputs, {known or f"{prefix}_outputs"}, {prefix}_layers,
    {f"{prefix}_settings" if settings else 0}, {f"{prefix}_output_used" if lengths else 0},
    {source.plan.arena_bytes}, {len(graph.inputs)}, {len(graph.outputs)}, {len(source.operators)},
    {len(graph.settings)}, {len(stages_of(graph))}, {f"{prefix}_stage_ends" if stages else 0}, {taken},
}};
"""


def constants_source(constants: Sequence[Constant]) -> str:
    """The arrays, for weights.c."""
    return "\n".join(_array(constant) for constant in constants)


def constants_header(constants: Sequence[Constant]) -> str:
    """Their declarations, for weights.h."""
    unit = constant_alignment(constants)
    lines = [
        "#ifdef TG_LIBRARY /* someone else's linker script: the compiler's own sections */",
        f"#define TG_CONSTANT __attribute__((aligned({unit})))",
        "#define TG_ARENA __attribute__((aligned(16)))",
        "#else",
        f'#define TG_CONSTANT __attribute__((section(".tg_constants"), aligned({unit})))',
        '#define TG_ARENA __attribute__((section(".tg_arena"), aligned(16)))',
        "#endif",
        "",
    ]
    lines += [f"extern const {c.c_type} {c.name}[{c.values.size}];" for c in constants]
    return "\n".join(lines) + "\n"


def _array(constant: Constant) -> str:
    values = _literals(constant.values)
    lines, line = [], "   "
    for value in values:
        if len(line) + len(value) + 2 > 110:
            lines.append(line)
            line = "   "
        line += f" {value},"
    lines.append(line)
    declaration = f"const {constant.c_type} {constant.name}[{constant.values.size}] TG_CONSTANT = {{"
    head = f"{constant_comment(constant.note, extents(constant.values.shape))}\n{declaration}"
    return "\n".join([head, *lines, "};", ""])


def _literals(values: np.ndarray) -> list[str]:
    flat = values.ravel()
    if flat.dtype == np.float32:
        return [f"{float(v).hex()}f" for v in flat]
    if flat.dtype == np.int32:
        return ["INT32_MIN" if v == -(2**31) else str(v) for v in flat.tolist()]
    if flat.dtype == np.int64:
        return ["INT64_MIN" if v == -(2**63) else f"INT64_C({v})" for v in flat.tolist()]
    return [str(v) for v in flat.tolist()]
