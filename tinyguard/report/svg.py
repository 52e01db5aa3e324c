# SPDX-License-Identifier: Apache-2.0
"""SVG by hand: elements with escaped text, nothing else needed."""

from xml.sax.saxutils import escape, quoteattr

FONT = "Helvetica, Arial, sans-serif"
_GLYPH = 0.6  # mean width of a letter in font sizes


def element(tag: str, text: str | None = None, /, **attributes: object) -> str:
    """One element; a Python name's underscores become hyphens, one at its end is dropped."""
    fields = "".join(
        f" {name.rstrip('_').replace('_', '-')}={quoteattr(_value(value))}"
        for name, value in attributes.items()
    )
    return f"<{tag}{fields}/>" if text is None else f"<{tag}{fields}>{printable(text)}</{tag}>"


def rectangle(x: float, y: float, width: float, height: float, title: str, **attributes: object) -> str:
    """A box that tells `title` under the mouse."""
    fields = element("rect", x=x, y=y, width=width, height=height, **attributes)
    return f"{fields[:-2]}><title>{printable(title)}</title></rect>"


def label(x: float, y: float, text: str, size: float = 11, turned: float = 0, /, **attributes: object) -> str:
    """Text at a point, turned by degrees around it."""
    turn = {"transform": f"rotate({turned:g} {x:.1f} {y:.1f})"} if turned else {}
    return element("text", text, x=x, y=y, font_size=size, **turn, **attributes)


def document(width: float, height: float, parts: list[str]) -> str:
    """The whole file, on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family={quoteattr(FONT)}>'
    )
    ground = element("rect", width=width, height=height, fill="white")
    return "\n".join([head, ground, *parts, "</svg>", ""])


def fitting(text: str, room: float, size: float = 11) -> str:
    """The end of `text` that fits into `room` pixels, empty when not even a few letters do."""
    letters = int(room / (size * _GLYPH))
    if len(text) <= letters:
        return text
    return f"…{text[1 - letters :]}" if letters > 4 else ""


def printable(text: str) -> str:
    """Escaped, and without what XML cannot hold: names come from files."""
    return escape("".join(letter if letter.isprintable() else "_" for letter in text))


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
