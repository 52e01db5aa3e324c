# SPDX-License-Identifier: Apache-2.0
"""Assembly lines as C text.

What is repeated becomes a macro used so many times, not a `.rept`: GCC takes an asm statement's size from
its lines, and places literal pools by it.
"""


def repeat(times: int, body: list[str]) -> list[str]:
    """The body so many times, between marks that `rendered` reads."""
    return body * times if times <= 1 else [f".rept {times}", *body, ".endr"]


def rendered(name: str, lines: list[str]) -> tuple[str, str, str]:
    """Macros to define before the function `name`, string literals for its asm statement, and the macros'
    end after it."""
    macros: list[list[str]] = []
    text: list[str] = []
    into, times = text, 0
    for line in lines:
        if line.startswith(".rept "):
            into, times = [], int(line.removeprefix(".rept "))
            macros.append(into)
        elif line == ".endr":
            into = text
            uses = [f"{name}_{len(macros)}"] * times
            text += [" ".join(uses[k : k + 2]) for k in range(0, times, 2)]
        else:
            into.append(f'"{line}\\n\\t"')
    defined = [
        f"#define {name}_{number} " + " ".join(f"\\\n    {literal}" for literal in body)
        for number, body in enumerate(macros, 1)
    ]
    ended = [f"#undef {name}_{number}" for number in range(1, len(macros) + 1)]
    body = "\n".join(f"        {line}" for line in text)
    return "".join(f"{d}\n" for d in defined), body, "".join(f"{e}\n" for e in ended)
