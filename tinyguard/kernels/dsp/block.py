# SPDX-License-Identifier: Apache-2.0
"""Prints the register blocks of the DSP convolutions: 3, 2 or 1 pixels of two output channels in assembly.

GCC 12 spills such blocks, so they are printed for the layer's depth, each beside its C equivalent
(`tg_conv_block_row` of dsp/conv_block.h), which every other machine runs.

Registers: r0 patches, r1 weights, r2 to r7 sums (pixel by pixel, two channels each), r8 to r12 and lr
operands. Stack: 0 output, 4 its end for threes, 8 for twos, 12 for ones, 16 weights, 20 and 24 counters,
28 r7.
"""

from dataclasses import dataclass, fields

from tinyguard.kernels.dsp.assembly import rendered, repeat

_OUTPUT, _ENDS, _WEIGHTS, _CHUNKS, _RUNS = 0, {3: 4, 2: 8, 1: 12}, 16, 20, 24
_UNROLLED_QUADS = 24  # of a block of three pixels: 1.6 KB of code
_LARGEST_PAIR_OFFSET = 1020  # of LDRD
_LARGEST_OFFSET = 4095  # of LDR, ADDW


@dataclass(frozen=True)
class Block:
    """What a block is printed for; all steps in bytes.

    A patch is `runs` runs of `words` words (two int16 codes each), `jump` from the end of one to the
    next; `spacing` from a pixel's patch to the next pixel's. `channels` from a pixel's output to the next
    pixel's; `second` from the first channel's to the second's.

    `wide`: the rule for any shift, else every shift is to the right and the zero point is in `round`.
    `positive`: no code below the zero point survives the clamp.
    """

    words: int
    runs: int
    jump: int
    spacing: int
    channels: int
    second: int
    wide: int
    positive: int
    zero_point: int
    low: int
    high: int

    @property
    def initializer(self) -> str:
        """Of a C `tg_conv_block`."""
        named = (f.name for f in fields(self) if f.name != "positive")
        return ", ".join(f".{name} = {getattr(self, name)}" for name in named)

    @property
    def name(self) -> str:
        """A patch's runs and words, then whatever else tells one block from another."""
        parts = [f"tg_conv_{self.runs}x{self.words}"]
        parts += [f"jump{_signed(self.jump)}"] if self.runs > 1 else []
        parts += [f"apart{self.spacing}", f"of{self.channels}", *self.rule]
        parts += [] if self.second else ["single"]
        return "_".join(parts)

    @property
    def rule(self) -> list[str]:
        """What names say of the requantization: nothing of the common one."""
        return [
            *(["wide"] if self.wide else []),
            *(["positive"] if self.positive else []),
            *([f"zero{_signed(self.zero_point)}"] if self.zero_point else []),
            *([f"{_signed(self.low)}to{_signed(self.high)}"] if (self.low, self.high) != (-128, 127) else []),
        ]

    @property
    def largest(self) -> int:
        """Pixels of a block: fewer where the patches lie too far apart for an immediate offset."""
        return max(p for p in (3, 2, 1) if (p - 1) * self.spacing <= _LARGEST_OFFSET - 8)


def _signed(number: int) -> str:
    """As a part of a C name."""
    return str(number).replace("-", "m")


def record_words(block: Block) -> str:
    """For the comment: what the block reads from r1 on, in words."""
    weights = 2 * block.words * block.runs
    each = "left shift, multiplier, left shift, round, shift" if block.wide else "multiplier, round, shift"
    count = 5 if block.wide else 3
    return (
        f"0-1 sums to start from, 2-{1 + weights} weights (pairs of 16 bits),\n"
        f"   {2 + weights}-{1 + weights + 2 * count} {each} of each channel"
    )


def function(block: Block) -> str:
    """C definition of a `tg_conv_row` of dsp/conv_2d.h, called NAME."""
    step = block.channels
    lines = [line for pixels in (3, 2, 1) if pixels <= block.largest for line in _section(block, pixels)]
    defined, body, undefined = rendered(block.name, lines)
    threes = "pixels % 3 == 1 && pixels > 1 ? pixels / 3 - 1 : pixels / 3" if block.largest == 3 else "0"
    twos = "(pixels - 3 * threes) / 2" if block.largest >= 2 else "0"
    patch = f"{block.runs} x {block.words}"
    return f"""\
/* Convolution, {block.largest} pixels by two channels per step; a patch: {patch} words of two codes.
   r0 patches, r1 record of two channels, r2-r7 sums (pixel by pixel, both channels), r8-r12 and lr operands.
   Stack, in bytes: 0 output, 4, 8 and 12 its end for 3, 2 and 1 pixels, 16 record, 20 and 24 counters, 28 r7.
   Record, in words: {record_words(block)}. */
{defined}static __attribute__((noinline)) void {block.name}(
    const tg_conv_block *block, const int16_t *patches, const uint32_t *weights, int8_t *output,
    int32_t pixels)
{{
#if defined(__ARM_FEATURE_DSP)
    (void)block;
    const int32_t threes = {threes};
    const int32_t twos = {twos};
    register const int16_t *p __asm__("r0") = patches;
    register const uint32_t *w __asm__("r1") = weights;
    register int8_t *out __asm__("r2") = output;
    register int8_t *end_3 __asm__("r3") = output + threes * 3 * {step};
    register int8_t *end_2 __asm__("r4") = end_3 + twos * 2 * {step};
    register int8_t *end_1 __asm__("r5") = output + pixels * {step};
    __asm__ volatile(
        ".syntax unified\\n\\t"
        "sub sp, sp, #32\\n\\t"
        "stm sp, {{r2-r5}}\\n\\t"
        "str r1, [sp, #{_WEIGHTS}]\\n\\t"
        "str r7, [sp, #28]\\n\\t"
{body}
        "ldr r7, [sp, #28]\\n\\t"
        "add sp, sp, #32\\n\\t"
        : "+r"(p), "+r"(w), "+r"(out), "+r"(end_3), "+r"(end_2), "+r"(end_1)
        :
        : "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#else
    tg_conv_block_row(block, patches, weights, output, pixels);
#endif
}}
{undefined}"""


def _section(block: Block, pixels: int) -> list[str]:
    """The loop over blocks of so many pixels."""
    label = f"{pixels}0"
    total = block.runs * block.words * 4 + (block.runs - 1) * block.jump
    lines = [
        f"ldr r8, [sp, #{_OUTPUT}]",
        f"ldr r9, [sp, #{_ENDS[pixels]}]",
        "cmp r8, r9",
        f"beq {pixels}9f",
        f"{label}:",
        "ldrd r2, r3, [r1], #8",
    ]
    lines += _sums(block, pixels)
    lines += _requantize_wide(block, pixels) if block.wide else _requantize(block, pixels)
    lines += [
        *advance("r1", pixels * block.channels),
        f"str r1, [sp, #{_OUTPUT}]",
        f"ldr r8, [sp, #{_ENDS[pixels]}]",
        *advance("r0", pixels * block.spacing - total),
        "cmp r1, r8",
        f"ldr r1, [sp, #{_WEIGHTS}]",
        f"bne {label}b",
        f"{pixels}9:",
    ]
    return lines


def _sums(block: Block, pixels: int) -> list[str]:
    """All runs, from the biases in r2 and r3: unrolled while short, else in loops counted on the stack."""
    quads = block.words // 2
    one = quad(block.spacing, pixels)
    last = _single(block, pixels) if block.words % 2 else []
    if block.runs * quads <= _UNROLLED_QUADS:
        lines = []
        for run in range(block.runs):
            if run:
                lines += [*repeat(quads, one), *last]
            else:
                start = [*_from_biases(one), *repeat(quads - 1, one), *last]
                lines += start if quads else _from_biases(last)
            lines += advance("r0", block.jump) if run + 1 < block.runs else []
        return lines
    chunk = max(n for n in range(1, _UNROLLED_QUADS + 1) if n == 1 or quads // n * n > 0.8 * quads)
    lines = _counted(repeat(chunk, one), quads // chunk, _CHUNKS, f"{pixels}1")
    lines += [*repeat(quads % chunk, one), *last]
    if block.runs > 1:
        lines = _counted([*lines, *advance("r0", block.jump)], block.runs, _RUNS, f"{pixels}2")
        lines += advance("r0", -block.jump)
    copies = [f"mov r{r}, r{2 + r % 2}" for r in range(4, 2 + 2 * pixels)]
    return [*copies, *lines]


def _from_biases(lines: list[str]) -> list[str]:
    """The first products of every sum added to r2 or r3; pixel 0, whose sums these are, comes last."""
    started, changed = set(), []
    for line in lines:
        target = line.removeprefix("smlad ").split(",")[0]
        if line.startswith("smlad") and target not in started:
            started.add(target)
            line = f"{line.rpartition(', ')[0]}, r{2 + int(target[1:]) % 2}"
        changed.append(line)
    return changed


def _counted(body: list[str], times: int, slot: int, label: str) -> list[str]:
    if times == 1:
        return body
    return [
        f"mov r8, #{times}",
        f"{label}:",
        f"str r8, [sp, #{slot}]",
        *body,
        f"ldr r8, [sp, #{slot}]",
        "subs r8, r8, #1",
        f"bne {label}b",
    ]


def quad(spacing: int, pixels: int) -> list[str]:
    """Four codes of each patch times four weights of both channels."""
    lines = ["ldm r1!, {r8, r9, r10, r11}"]
    for pixel in reversed(range(pixels)):
        lines += _load_quad(pixel * spacing)
        first, second = 2 + 2 * pixel, 3 + 2 * pixel
        for operand, (even, odd) in (("r12", ("r8", "r10")), ("lr", ("r9", "r11"))):
            lines.append(f"smlad r{first}, {operand}, {even}, r{first}")
            lines.append(f"smlad r{second}, {operand}, {odd}, r{second}")
    return lines


def _load_quad(offset: int) -> list[str]:
    if offset == 0:
        return ["ldrd r12, lr, [r0], #8"]
    if offset <= _LARGEST_PAIR_OFFSET:
        return [f"ldrd r12, lr, [r0, #{offset}]"]
    return [f"ldr r12, [r0, #{offset}]", f"ldr lr, [r0, #{offset + 4}]"]


def _single(block: Block, pixels: int) -> list[str]:
    """Two codes of each patch times two weights of both channels."""
    lines = ["ldrd r8, r9, [r1], #8"]
    for pixel in reversed(range(pixels)):
        offset = pixel * block.spacing
        lines.append(f"ldr r12, [r0, #{offset}]" if offset else "ldr r12, [r0], #4")
        for channel, operand in ((0, "r8"), (1, "r9")):
            total = f"r{2 + 2 * pixel + channel}"
            lines.append(f"smlad {total}, r12, {operand}, {total}")
    return lines


def _requantize(block: Block, pixels: int) -> list[str]:
    """Multiplier, round and shift of both channels: at most five instructions per output and the store."""
    lines = [f"ldr lr, [sp, #{_OUTPUT}]"]
    for channel in (0, 1):
        lines.append("ldm r1!, {r8, r9, r10}")
        for pixel in range(pixels):
            r = f"r{2 + 2 * pixel + channel}"
            place = pixel * block.channels + channel * block.second
            lines += [*scaled(block, r, "r8", "r9", "r10", "r11"), f"strb {r}, [lr, #{place}]"]
    return [*lines, "mov r1, lr"]


def scaled(block: Block, r: str, multiplier: str, round_: str, shift: str, free: str) -> list[str]:
    """A sum to its code, all shifts to the right.

    SMMLAR adds the round to the product's upper half. What is negative rounds away from zero, for which the
    sum's sign is added too, but for an activation that clamps there anyway.
    """
    lines = [f"lsls {r}, {r}, #1"]
    if not block.positive:
        lines.append(f"add {free}, {round_}, {r}, asr #31")
    added = round_ if block.positive else free
    return [
        *lines,
        f"smmlar {r}, {r}, {multiplier}, {added}",
        f"asrs {r}, {r}, {shift}",
        *clamp(block, r),
    ]


def _requantize_wide(block: Block, pixels: int) -> list[str]:
    """Left shift, multiplier, second left shift, round and shift: any exponent, zero point apart."""
    lines = [f"ldr lr, [sp, #{_OUTPUT}]"]
    for channel in (0, 1):
        lines.append("ldm r1!, {r8, r9, r10, r11, r12}")
        for pixel in range(pixels):
            r = f"r{2 + 2 * pixel + channel}"
            lines += [
                f"lsls {r}, {r}, r8",
                f"smmulr {r}, {r}, r9",
                f"lsls {r}, {r}, r10",
                f"add {r}, {r}, {r}, asr #31",
                f"add {r}, {r}, r11",
                f"asrs {r}, {r}, r12",
                f"{'sub' if block.zero_point < 0 else 'add'} {r}, {r}, #{abs(block.zero_point)}",
                *clamp(block, r),
                f"strb {r}, [lr, #{pixel * block.channels + channel * block.second}]",
            ]
    return [*lines, "mov r1, lr"]


def clamp(block: Block, register: str) -> list[str]:
    """To the layer's range: one instruction for all of int8."""
    lines = [f"ssat {register}, #8, {register}"]
    for bound, free, below in ((block.low, -128, "lt"), (block.high, 127, "gt")):
        if bound != free:
            compare = f"cmp {register}, #{bound}" if bound >= 0 else f"cmn {register}, #{-bound}"
            move = f"mov{below} {register}, #{bound}"
            lines += [compare, f"it {below}", move if bound >= 0 else f"mvn{below} {register}, #{-bound - 1}"]
    return lines


def advance(register: str, step: int) -> list[str]:
    """Add a constant, 12 bits per instruction, flags untouched."""
    lines = []
    verb, rest = ("addw", step) if step >= 0 else ("subw", -step)
    while rest:
        part = min(rest, _LARGEST_OFFSET)
        lines.append(f"{verb} {register}, {register}, #{part}")
        rest -= part
    return lines
