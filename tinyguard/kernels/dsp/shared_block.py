# SPDX-License-Identifier: Apache-2.0
"""Prints the register block that layers share: 2 pixels of two output channels, all shapes at run time.

Registers: r0 and r6 patches of both pixels, r1 weights, r2 to r5 sums, r7 to r12 and lr counter and operands.
Stack: 0 output, 4 its end, 8 weights, 12 jump, 16 quads, 20 runs, 24 patches, 28 r7, 32 counter of runs,
36 spacing, 40 step to the next pixel's output, 44 step to the second channel's.
"""

from tinyguard.kernels.dsp.assembly import rendered, repeat
from tinyguard.kernels.dsp.block import Block, clamp, scaled

_QUAD = (
    "ldm r1!, {r8, r9, r10, r11}",
    "ldrd r12, lr, [r0], #8",
    "smlad r2, r12, r8, r2",
    "smlad r3, r12, r10, r3",
    "smlad r2, lr, r9, r2",
    "smlad r3, lr, r11, r3",
    "ldrd r12, lr, [r6], #8",
    "smlad r4, r12, r8, r4",
    "smlad r5, r12, r10, r5",
    "smlad r4, lr, r9, r4",
    "smlad r5, lr, r11, r5",
)
_UNROLLED = 4

_SUMS = (
    "10:",
    "ldr r0, [sp, #24]",
    "ldr r6, [sp, #36]",
    "ldr r1, [sp, #8]",
    "add r6, r6, r0",
    "ldrd r2, r3, [r1], #8",
    "mov r4, r2",
    "mov r5, r3",
    "ldr r8, [sp, #20]",
    "20:",
    "ldr r7, [sp, #16]",
    "str r8, [sp, #32]",
    f"subs r7, r7, #{_UNROLLED}",
    "blt 22f",
    "21:",
    *repeat(_UNROLLED, list(_QUAD)),
    f"subs r7, r7, #{_UNROLLED}",
    "bge 21b",
    "22:",
    f"adds r7, r7, #{_UNROLLED}",
    "beq 24f",
    "23:",
    *_QUAD,
    "subs r7, r7, #1",
    "bne 23b",
    "24:",
    "ldr r8, [sp, #32]",
    "ldr r9, [sp, #12]",
    "add r0, r0, r9",
    "add r6, r6, r9",
    "subs r8, r8, #1",
    "bne 20b",
)
_NEXT = (
    "str r1, [sp]",
    "ldr r9, [sp, #24]",
    "ldr r10, [sp, #36]",
    "ldr r8, [sp, #4]",
    "add r9, r9, r10, lsl #1",
    "str r9, [sp, #24]",
    "cmp r1, r8",
    "bne 10b",
)


_EACH = ("multiplier, round and shift", "left shift, multiplier, left shift, round and shift")


def shared_name(block: Block) -> str:
    """Of the function that this layer can share."""
    return "_".join(["tg_conv_shared", *block.rule])


def shared_function(block: Block) -> str:
    """C definition of a `tg_conv_row` of dsp/conv_2d.h for every shape in whole quads."""
    lines = [*_SUMS, *(_scaled_wide(block) if block.wide else _scaled(block)), *_NEXT]
    defined, body, undefined = rendered(shared_name(block), lines)
    return f"""\
/* Convolution of two pixels by two output channels per step, for patches of any shape.
   r0 and r6 patches, r1 record of two channels, r2-r5 sums (pixel by pixel, both channels), r7-r12 and lr
   operands and counter. Stack, in bytes: 0 output, 4 its end, 8 record, 12 jump, 16 quads, 20 runs,
   24 patches, 28 r7, 32 runs left, 36 from pixel to pixel, 40 the same of outputs, 44 to the other channel.
   Record: two sums to start from, the weights (pairs of 16 bits), {_EACH[block.wide]} of each channel. */
{defined}static __attribute__((noinline)) void {shared_name(block)}(
    const tg_conv_block *block, const int16_t *patches, const uint32_t *weights, int8_t *output,
    int32_t pixels)
{{
#if defined(__ARM_FEATURE_DSP)
    for (int32_t done = 0; done < pixels;) {{
        const int32_t some = pixels - done > 1 ? (pixels - done) & ~1 : 1;
        const int32_t step = some > 1 ? block->channels : 0; /* a single pixel is computed twice */
        int8_t *const first = output + done * block->channels;
        const uint32_t frame[12] = {{
            (uint32_t)first, (uint32_t)(first + some * step), (uint32_t)weights, (uint32_t)block->jump,
            (uint32_t)block->words / 2, (uint32_t)block->runs,
            (uint32_t)(patches + done * (block->spacing / 2)), 0, 0,
            (uint32_t)(some > 1 ? block->spacing : 0), (uint32_t)step, (uint32_t)block->second}};
        register const uint32_t *from __asm__("r0") = frame;
        __asm__ volatile(
        ".syntax unified\\n\\t"
        "sub sp, sp, #48\\n\\t"
        "ldm r0!, {{r1-r6}}\\n\\t"
        "stm sp, {{r1-r6}}\\n\\t"
        "ldm r0, {{r1-r6}}\\n\\t"
        "add r8, sp, #24\\n\\t"
        "stm r8, {{r1-r6}}\\n\\t"
        "str r7, [sp, #28]\\n\\t"
{body}
        "ldr r7, [sp, #28]\\n\\t"
        "add sp, sp, #48\\n\\t"
        : "+r"(from)
        :
        : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
        done += some;
    }}
#else
    tg_conv_block_row(block, patches, weights, output, pixels);
#endif
}}
{undefined}"""


def _scaled(block: Block) -> list[str]:
    """Requantized and stored: seven instructions per output."""
    lines = ["ldm r1, {r8, r9, r10, r11, r12, lr}"]
    for m, o, e, sums in (("r8", "r9", "r10", ("r2", "r4")), ("r11", "r12", "lr", ("r3", "r5"))):
        for r in sums:
            lines += scaled(block, r, m, o, e, "r7")
    return [*lines, *_stored()]


def _scaled_wide(block: Block) -> list[str]:
    """The same for any shift, the zero point apart."""
    lines = []
    for sums in (("r2", "r4"), ("r3", "r5")):
        lines.append("ldm r1!, {r8, r9, r10, r11, r12}")
        for r in sums:
            lines += [
                f"lsls {r}, {r}, r8",
                f"smmulr {r}, {r}, r9",
                f"lsls {r}, {r}, r10",
                f"add {r}, {r}, {r}, asr #31",
                f"add {r}, {r}, r11",
                f"asrs {r}, {r}, r12",
                f"{'sub' if block.zero_point < 0 else 'add'} {r}, {r}, #{abs(block.zero_point)}",
                *clamp(block, r),
            ]
    return [*lines, *_stored()]


def _stored() -> list[str]:
    """Four outputs; r1 is the next one's place then."""
    return [
        "ldr r1, [sp]",
        "ldr r7, [sp, #44]",
        "ldr r0, [sp, #40]",
        "strb r2, [r1]",
        "strb r3, [r1, r7]",
        "add r1, r1, r0",
        "strb r4, [r1]",
        "strb r5, [r1, r7]",
        "add r1, r1, r0",
    ]
