# SPDX-License-Identifier: Apache-2.0
"""`build --as library`: the network alone, with a stable header and a CMake file, for any firmware.

The texts below use the default names; `library_names` gives them those of a prefix.
"""

from pathlib import Path

from tinyguard import passes
from tinyguard.codegen.comments import extents
from tinyguard.codegen.library_names import check_prefix, renamed
from tinyguard.codegen.prepare import prepare
from tinyguard.codegen.project import firmware_files, kernel_files, model_files, write_project
from tinyguard.codegen.readme import library_readme
from tinyguard.codegen.settings_tables import macro_name
from tinyguard.codegen.source import ModelSource
from tinyguard.graph import Graph, Setting, Tensor
from tinyguard.graph.exit_policy import KINDS
from tinyguard.graph.multi_exit import stages_of
from tinyguard.graph.settings import to_words
from tinyguard.license import C_HEAD, MAKE_HEAD, license_text
from tinyguard.operators import PORTABLE, Target
from tinyguard.paths import data_folder

_TYPES = ("/model.h", "/settings.h", "/stages.h")
# One rounding per float operation, as the reference has it; kernels read codes a word at a time.
_FLAGS = "-ffp-contract=off -fno-strict-aliasing"

_HEADER = """\
/* A network as a library: the model with SHA-256
   {digest}.

   Fill tg_model_input(i), call tg_model_invoke(), read tg_model_output(i). Inputs may be overwritten by
   the run; outputs stay until an input is written. All memory is static; nothing is allocated; not
   reentrant. Codes are integers: real = scale * (code - zero point). */
#ifndef TG_MODEL_H
#define TG_MODEL_H

#include <stdint.h>
{more_includes}
#ifdef __cplusplus
extern "C" {{
#endif

#define TG_MODEL_ARENA_BYTES {arena}u
#define TG_MODEL_CONSTANT_BYTES {constants}u
#define TG_MODEL_INPUTS {inputs}u
#define TG_MODEL_OUTPUTS {outputs}u
#define TG_MODEL_SETTINGS {setting_count}u

{tensors}
{settings}
void tg_model_init(void);
void tg_model_invoke(void);

/* A network with exits stage by stage, for an application that stops when its time or energy is up. After an
   input is written, tg_model_begin and then tg_model_next until it returns 0: the answer stands in output 0.
   While it returns 1, output 0 holds no answer, and the scores of exit i, from 1, stand in output 1 + i
   once stage i has run. Without exits there is one stage. tg_model_invoke does all of it. */
#define TG_MODEL_STAGES {stages}u
{policies}
void tg_model_begin(void);
int tg_model_next(void);

/* Exit taken, from 1 (0: none yet), its largest probability in 1/256, its entropy in 1/1024 bit, the margin
   of its two largest logits in codes; null for a network without exits. */
const int32_t *tg_model_decision(void);

/* Settings are numbers that layers read when they run. They hold until set again; tg_model_init puts them
   back to the file's. A value is one 32-bit word for each entry, of a 64-bit one two, the low word first;
   signed entries as they are in memory. Set them between inferences. Returns 0 when refused, with nothing
   changed: no such setting, another number of words, a value out of its range. */
int tg_model_set(uint32_t setting, const uint32_t *value, uint32_t words);
int tg_model_get(uint32_t setting, uint32_t *value, uint32_t words);

/* Sets TG_MODEL_SETTING_SEED, where there is one: the masks of a stochastic network are a function of it. */
void tg_model_seed(uint32_t low, uint32_t high);

/* Input and output tensors by index, in the arena; null for an index that is not there. */
void *tg_model_input(uint32_t index);
const void *tg_model_output(uint32_t index);

#ifdef __cplusplus
}}
#endif

#endif
"""

_POLICIES = "".join(
    [
        "\n/* Values of TG_MODEL_SETTING_EXIT_POLICY. Thresholds: the setting of the policy's name. */\n",
        *(f"#define TG_MODEL_EXIT_{kind.upper()} {value}u\n" for value, kind in enumerate(KINDS)),
    ]
)

_CMAKE = """\
# add_subdirectory(...) this folder and link tg_model; the compiler and the core's flags are yours.
cmake_minimum_required(VERSION 3.13)
project(tg_model C)

add_library(tg_model STATIC model.c weights.c tg_model.c)
set(here ${{CMAKE_CURRENT_SOURCE_DIR}})
target_include_directories(tg_model PUBLIC ${{here}}{include} PRIVATE {private}${{here}}/kernels)
target_compile_definitions(tg_model PRIVATE TG_LIBRARY)
target_compile_features(tg_model PUBLIC c_std_11)
target_compile_options(tg_model PRIVATE -O2 {flags})
"""

_MAKE = """\
# `make` builds libtg_model.a; for a board: make CROSS=arm-none-eabi- CORE="-mcpu=cortex-m4 -mthumb"
CC := $(CROSS)gcc
AR := $(CROSS)ar
CFLAGS := -std=c11 -O2 {flags} -ffunction-sections -fdata-sections $(CORE) -DTG_LIBRARY \\
    -I. -Iinclude -Ikernels

libtg_model.a: model.o weights.o tg_model.o
\t$(AR) rcsD $@ $^

clean:
\trm -f *.o libtg_model.a
"""


def generate_library(
    graph: Graph,
    directory: Path,
    target: Target = PORTABLE,
    prefix: str | None = None,
    *,
    flash_budget: int | None = None,
    rewrite: bool = True,
) -> ModelSource:
    """Write the library project of `graph` into `directory`, replacing an earlier one.

    With `prefix` every name that a linker or a user's file sees begins with it, so that one firmware can
    hold several. `flash_budget` and `rewrite` are Options' flash_budget and passes. Raises TinyguardError
    on unsupported operators, a prefix that C cannot take, a budget that nothing fits, and when `directory`
    holds something else.
    """
    if prefix is not None:
        check_prefix(prefix)
    ours = prefix or "tg"
    network = passes.optimize(graph) if rewrite else graph
    model = prepare(network, target, ours, flash_budget, arena=f"{ours}_arena")
    headers = [name for name in firmware_files(["include/tinyguard"]) if name.endswith(_TYPES)]
    copied = [*headers, *kernel_files([model])]
    own = {
        "tg_model.h": C_HEAD + _header(model, prefix),
        "tg_model.c": (data_folder("firmware") / "library" / "tg_model.c").read_text(),
        "CMakeLists.txt": MAKE_HEAD + _cmake(prefix),
        "Makefile": MAKE_HEAD + _MAKE.format(flags=_FLAGS),
    }
    printed = {**model_files([model]), "LICENSE": license_text()}
    own["README.md"] = library_readme(model, [*own, *printed, *copied], prefix, directory.resolve().name)
    texts = {renamed(name, prefix): renamed(text, prefix) for name, text in own.items()}
    if prefix is not None:  # tinyguard/model.h declares the network by its default name alone
        name, types = f"{prefix}_model.c", '#include "tinyguard/settings.h"\n'
        declaration = f"extern const tg_model {model.prefix}_the_model;"
        texts[name] = texts[name].replace(types, f"{types}\n{declaration}\n")
    write_project(directory, {**printed, **texts}, copied)
    return model


def _cmake(prefix: str | None) -> str:
    """tinyguard/model.h is for users of the default names; with a prefix each library keeps its own."""
    folder = " ${here}/include"
    public, private = (folder, "") if prefix is None else ("", f"{folder.strip()} ")
    return _CMAKE.format(flags=_FLAGS, include=public, private=private)


def _header(model: ModelSource, prefix: str | None) -> str:
    graph = model.graph
    tensors = [_tensor_lines("INPUT", i, graph.tensors[t]) for i, t in enumerate(graph.inputs)]
    tensors += [_tensor_lines("OUTPUT", i, graph.tensors[t]) for i, t in enumerate(graph.outputs)]
    return _HEADER.format(
        digest=graph.sha256 or "unknown",
        more_includes='\n#include "tinyguard/model.h"\n' if prefix is None else "",
        arena=model.plan.arena_bytes,
        constants=model.constant_bytes,
        inputs=len(graph.inputs),
        outputs=len(graph.outputs),
        setting_count=len(graph.settings),
        stages=max(1, len(stages_of(graph))),
        policies=_POLICIES if stages_of(graph) else "",
        tensors="\n\n".join(tensors),
        settings="".join(_setting_lines(i, setting) for i, setting in enumerate(graph.settings)),
    )


def _tensor_lines(side: str, index: int, tensor: Tensor) -> str:
    name = f"TG_MODEL_{side}_{index}"
    lines = [f"/* {tensor.dtype}, {extents(tensor.shape)} */", f"#define {name}_BYTES {tensor.size_bytes}u"]
    if tensor.quantization:
        lines += [
            f"#define {name}_SCALE {tensor.scale!r}f",
            f"#define {name}_ZERO_POINT ({tensor.zero_point})",
        ]
    return "\n".join(lines)


def _setting_lines(index: int, setting: Setting) -> str:
    """Its number for tg_model_set, and how many words its value has."""
    name, count = f"TG_MODEL_SETTING_{macro_name(setting)}", len(to_words(setting.kind, setting.value))
    spans = {f"{low} to {high}" for low, high in setting.ranges}
    note = f"{setting.kind}, {spans.pop()}" if len(spans) == 1 else f"{setting.kind}, a range for each entry"
    return f"\n/* {note} */\n#define {name} {index}u\n#define {name}_WORDS {count}u\n"
