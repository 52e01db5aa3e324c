# SPDX-License-Identifier: Apache-2.0
"""board.ld: where each part of an image lies."""

from tinyguard.boards.board import Board
from tinyguard.license import C_HEAD

_SECTIONS = """\
ENTRY(Reset_Handler)

SECTIONS
{{
    .vectors : {{
        KEEP(*(.vectors))
    }} > {code}

    .text : {{
        *(.text .text.*)
        *(.rodata .rodata.*)
        . = ALIGN(4);
    }} > {code}

    .tg_constants : ALIGN(16) {{
        KEEP(*(.tg_constants .tg_constants.*))
        . = ALIGN(8);
    }} > {constants}

    /* At the low end of its memory: an overflow faults, or at worst writes to nowhere. */
    .tg_stack (NOLOAD) : ALIGN(16) {{
        tg_stack_bottom = .;
        . += {stack_bytes};
        tg_stack_top = .;
    }} > {stack}

    .tg_link (NOLOAD) : ALIGN(16) {{
        tg_link_start = .;
        KEEP(*(.tg_link .tg_link.*))
        . = ALIGN(16);
        tg_link_end = .;
    }} > {link}

    .tg_arena (NOLOAD) : ALIGN(16) {{
        KEEP(*(.tg_arena .tg_arena.*))
    }} > {arena}

    /* RAM is predicted to the byte, so every variable lies in one of the sections above. */
    .data : {{
        *(.data .data.*)
    }} > {link} AT > {code}
    .bss (NOLOAD) : {{
        *(.bss .bss.* COMMON)
    }} > {link}
    ASSERT(SIZEOF(.data) == 0, "an initialized variable: put it in .tg_link or make it const")
    ASSERT(SIZEOF(.bss) == 0, "a variable outside .tg_link and .tg_arena")

    /DISCARD/ : {{
        *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.*)
        *(.init .fini .init_array .fini_array .preinit_array .eh_frame)
    }}
}}
"""


def linker_script(board: Board) -> str:
    """Text of board.ld for GNU ld. Symbols: tg_stack_bottom, tg_stack_top, tg_link_start, tg_link_end."""
    regions = "\n".join(
        f"    {memory.name} ({'rx' if memory.kind == 'rom' else 'rwx'}) :"
        f" ORIGIN = 0x{memory.base:08x}, LENGTH = 0x{memory.size:x}"
        for memory in board.memory
    )
    sections = _SECTIONS.format(stack_bytes=board.stack_bytes, **board.placement)
    origin = f"/* {board.title}, generated from boards/{board.name}.toml. */\n"
    return f"{C_HEAD}{origin}MEMORY\n{{\n{regions}\n}}\n\n{sections}"
