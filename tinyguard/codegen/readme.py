# SPDX-License-Identifier: Apache-2.0
"""README.md of a generated folder: its files, sizes, how to build it and how to call it."""

from collections.abc import Iterable

from tinyguard.boards import Board, link_bytes
from tinyguard.codegen.comments import extents
from tinyguard.codegen.source import ModelSource
from tinyguard.graph import Tensor
from tinyguard.graph.exit_policy import POLICY, policy_of
from tinyguard.graph.multi_exit import stages_of
from tinyguard.operators.base import C_TYPE
from tinyguard.toolchain.cores import core_flags
from tinyguard.version import VERSION

_EXAMPLE_CORE = {"portable": "cortex-m0plus", "dsp": "cortex-m4", "mve": "cortex-m55"}
_PRINTED_FOR = {
    "portable": "any core",
    "dsp": "cores with DSP instructions (Cortex-M4, M7, M33); others get the same bytes from plain C",
    "mve": "cores with MVE, Arm's Helium (Cortex-M55, M85), and compiles for no other",
}
_ABOUT = {
    "model.c": "the layers, one function each, and the arena in which they work",
    "weights.c": "the constants of the layers",
    "weights.h": "their declarations",
    "tg_model.h": "what your firmware includes: functions and sizes",
    "tg_model.c": "those functions",
    "kernels": "the C that the layers call, in headers",
    "include/tinyguard": "types that the files share",
    "CMakeLists.txt": "builds the library with CMake",
    "Makefile": "builds everything with make",
    "board.h": "addresses, clocks and sizes of the board",
    "board.ld": "where each part of the image lies, for the linker",
    "runtime": "the main loop: takes commands from the serial port and answers",
    "ports": "the chip: start-up, clocks, serial port, counter",
    "LICENSE": "the licence of all of this",
}

_LIBRARY = """\
# A neural network as a C library

Printed by tinyguard {version} from the model with SHA-256 {digest}.

{tensors}

{layers} layers take {constants:,} bytes of constants and {arena:,} bytes of static memory, the arena.
Nothing is allocated. The C is for {printed_for}.

## Files

{files}

## Build

It needs GCC (arm-none-eabi-gcc for a board): the C uses GNU extensions, inline assembly and attributes.
For a board, with the flags of your core in `CORE`, here a {core}:

```sh
make clean
make CROSS=arm-none-eabi- CORE="{flags}"
```
{host_build}
The library is `libtg_model.a`. In a CMake project, which brings the compiler and the core's flags:

```cmake
add_subdirectory({folder})
target_link_libraries(app tg_model)
```

## Call

```c
#include <stdio.h>
#include <string.h>
#include "tg_model.h"

int main(void)
{{
    tg_model_init(); /* once */
    memset(tg_model_input(0), 0, TG_MODEL_INPUT_0_BYTES); /* your {codes} here */
    tg_model_invoke();
    const {c_type} *output = tg_model_output(0);
    printf("%d\\n", (int)output[0]); /* of TG_MODEL_OUTPUT_0_BYTES / sizeof(*output) */
}}
```

{host_link}One call runs at a time: the functions are not reentrant. `tg_model.h` says the rest{settings}.
{exits}
## Licence

Apache-2.0, see LICENSE. The weights are those of the model; whoever owns it says what may be done with them.
"""

_FIRMWARE = """\
# A neural network as firmware for {title}

Printed by tinyguard {version} from the model with SHA-256 {digest}.

{tensors}

| memory | bytes |
|---|---:|
| constants of the network, in `{constant_memory}` | {constants:,} |
| arena: inputs, outputs and activations, in `{arena_memory}` | {arena:,} |
| serial link, in `{link_memory}` | {link:,} |
| stack, in `{stack_memory}` | {stack:,} |

## Files

{files}

## Build

It needs make and GCC for Arm (arm-none-eabi-gcc with newlib), no Python and no tinyguard. The C uses GNU
extensions, inline assembly and attributes.{cmsis_nn}

```sh
make
```

writes `build/firmware.elf` and `build/firmware.bin`, whose first byte belongs at 0x{origin:08x}.

## Use

Program it with any tool, or with `tinyguard flash MODEL --board {board}`. It answers commands over the serial
port at {baud} baud: `tinyguard eval MODEL --serial PORT --data DATA` runs a test set on it. The commands
stand in `include/tinyguard/protocol.h`.

To call the network from a firmware of your own, print it with `tinyguard build MODEL --as library`.
{exits}
## Licence

Apache-2.0, see LICENSE. The weights are those of the model; whoever owns it says what may be done with them.
"""

_HOST_BUILD = """
For this machine:

```sh
make clean
make
```
"""

_HOST_LINK = """\
```sh
gcc main.c {includes} -L. -ltg_model -o main
```

"""

_EXITS = """
## Exits

The network answers at the first of {count} exits that is sure enough. The file's policy is {policy}.
Its kind is the setting `{setting}`, and each kind has its thresholds in the setting of its name.

{stages}
"""

_LIBRARY_EXITS = """
`tg_model_invoke` runs the stages up to the exit that is taken, which `tg_model_decision()[0]` names. An
application that has its own clock or battery runs one stage a call, stops when it wants, and takes what the
last exit said:

```c
uint32_t stages = 1;
tg_model_begin();
while (tg_model_next() && time_is_left()) {{
    stages++;
}}
const int8_t *scores = tg_model_output(tg_model_decision()[0] != 0 ? 0 : 1 + stages);
```
"""

_CMSIS_NN = """ It also needs your own CMSIS-NN,
which is not part of this folder: `make CMSIS_NN=DIR` where it lies elsewhere than the Makefile says."""


def library_readme(model: ModelSource, files: Iterable[str], prefix: str | None, folder: str) -> str:
    """For a library in `folder` whose project has `files`, with the default names still."""
    graph = model.graph
    on_host = model.target.isa != "mve"
    link = _HOST_LINK.format(includes="-I. -Iinclude" if prefix is None else "-I.")
    core = _EXAMPLE_CORE[model.target.isa]
    return _LIBRARY.format(
        **_facts(model, files),
        layers=len(model.operators),
        printed_for=_PRINTED_FOR[model.target.isa],
        core=core,
        flags=" ".join(core_flags(core)),
        folder=folder,
        host_build=_HOST_BUILD if on_host else "",
        host_link=link if on_host else "",
        codes=f"{graph.tensors[graph.inputs[0]].dtype} codes",
        c_type=C_TYPE[graph.tensors[graph.outputs[0]].dtype],
        settings=", and how to read and set the network's settings" if graph.settings else "",
        exits=_exits(model, _LIBRARY_EXITS),
    )


def firmware_readme(
    model: ModelSource, board: Board, files: Iterable[str], uses_cmsis_nn: bool = False
) -> str:
    """For a firmware project that has `files`, and links the user's CMSIS-NN or not."""
    code = next(memory for memory in board.memory if memory.name == board.placement["code"])
    return _FIRMWARE.format(
        **_facts(model, files),
        title=board.title,
        board=board.name,
        baud=board.uart.baud,
        origin=code.base,
        link=link_bytes(board),
        stack=board.stack_bytes,
        constant_memory=board.placement["constants"],
        arena_memory=board.placement["arena"],
        link_memory=board.placement["link"],
        stack_memory=board.placement["stack"],
        cmsis_nn=_CMSIS_NN if uses_cmsis_nn else "",
        exits=_exits(model),
    )


def _exits(model: ModelSource, more: str = "") -> str:
    """The stages and the policy, and `more`; empty for a network without exits."""
    stages = stages_of(model.graph)
    if not stages:
        return ""
    rows = [
        f"| {stage.name} | {stage.first} to {stage.end - 1} | "
        f"{sum(operator.macs for operator in model.operators[stage.first : stage.end]):,} |"
        for stage in stages
    ]
    table = ["| stage | layers | multiply-accumulates |", "|---|---|---:|", *rows]
    text = _EXITS.format(
        count=len(stages), policy=policy_of(model.graph), setting=POLICY, stages="\n".join(table)
    )
    return text + more.format()


def _facts(model: ModelSource, files: Iterable[str]) -> dict[str, object]:
    return {
        "version": VERSION,
        "digest": model.graph.sha256 or "unknown",
        "tensors": _tensors(model),
        "constants": model.constant_bytes,
        "arena": model.plan.arena_bytes,
        "files": _files(files),
    }


def _tensors(model: ModelSource) -> str:
    graph = model.graph
    sides = (("input", graph.inputs), ("output", graph.outputs))
    rows = [
        f"| {side} {number} | {tensor.dtype} | {extents(tensor.shape)} | {_quantization(tensor)} |"
        for side, indices in sides
        for number, tensor in enumerate(graph.tensors[index] for index in indices)
    ]
    return "\n".join(["| | type | shape | real value |", "|---|---|---|---|", *rows])


def _quantization(tensor: Tensor) -> str:
    if tensor.quantization is None:
        return "as it is"
    return f"{tensor.scale:g} * (code - ({tensor.zero_point}))"


def _files(files: Iterable[str]) -> str:
    """What is in the folder, one row per file; a folder of headers has one row."""
    names = list(files)
    rows = [
        f"| `{name}{'' if name in names else '/'}` | {about} |"
        for name, about in _ABOUT.items()
        if any(file == name or file.startswith(f"{name}/") for file in names)
    ]
    return "\n".join(["| file | what it is |", "|---|---|", *rows])
