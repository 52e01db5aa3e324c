# SPDX-License-Identifier: Apache-2.0
"""What two checkouts compile from the same files: text and read-only data, symbol by symbol.

    python benchmarks/same_images.py OLD NEW model.tflite ... [--boards mps2-an385,...] [--optimize speed,...]

OLD and NEW are checkouts; each generates and compiles with its own code, under this Python. Every function
and object of every object file is compared: its bytes, and by name what the linker patches into it. What was
renamed stands in RENAMED, what may differ in MAY_DIFFER with the reason; anything else is listed. Exit
status 1 where there is such a difference, where the RAM is another, or where an image of a network without
settings has more than --flash-most bytes of flash more.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from object_file import Part, linked, parts

from tinyguard.kernels.dsp.block import Block
from tinyguard.kernels.dsp.shared_block import shared_name

BOARDS = "mps2-an385,mps2-an386,mps2-an500,mps3-an547"
LEVELS = "speed,balanced,size"

# Object file, symbol, why.
MAY_DIFFER = (
    (r"runtime/commands\.c", r".*", "the build id, which follows the text of the printed network"),
    (r"runtime/settings\.c", r".*", "it is compiled for size now"),
    (r"model\.c", r"tg_(the_model|outputs)", "the description of the network, which has grown the stages"),
)

_OLD_SHARED = ("wide", "positive", "zero_point", "low", "high")
_ANY = Block(*[0] * 11)

# Old name, whose numbers a group holds; the new name of these numbers.
RENAMED: tuple[tuple[str, Callable[[list[int]], str]], ...] = (
    (r"tg_conv_block((?:_m?\d+){11})", lambda numbers: Block(*numbers).name),
    (
        r"tg_conv_block_shared((?:_m?\d+){5})",
        lambda numbers: shared_name(replace(_ANY, **dict(zip(_OLD_SHARED, numbers, strict=True)))),
    ),
)

_BUILD = """
import json, sys
from pathlib import Path
from tinyguard import boards
from tinyguard.codegen import build_image
from tinyguard.tflite import read_graph
model, board, optimize, folder = sys.argv[1:]
graph = read_graph(Path(model))
image = build_image(graph, boards.load(board), Path(folder), optimize=optimize)
print(json.dumps({"flash": image.flash_bytes, "ram": image.ram_bytes,
    "arena": image.sections.get(".tg_arena", 0), "settings": len(getattr(graph, "settings", ()))}))
"""


@dataclass(frozen=True)
class Difference:
    """A symbol that is not the same in both images; `why` is None where nothing allows it."""

    file: str
    symbol: str
    what: str
    why: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--boards", default=BOARDS)
    parser.add_argument("--optimize", default=LEVELS)
    parser.add_argument("--flash-most", type=int, default=256, help="bytes, of networks without settings")
    options = parser.parse_args()
    print(
        f"{'model':28}{'board':12}{'optimize':10}{'equal':>6}{'allowed':>8}{'others':>7}{'flash':>8}{'more':>6}"
    )
    wrong = 0
    for model in options.models:
        for board in options.boards.split(","):
            for optimize in options.optimize.split(","):
                wrong += not _same(options, model.resolve(), board, optimize)
    print(f"{wrong} with an unexpected difference")
    return 1 if wrong else 0


def _same(options: argparse.Namespace, model: Path, board: str, optimize: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="same-images-") as folder:
        old, new = Path(folder) / "old", Path(folder) / "new"
        before = _built(options.old, model, board, optimize, old)
        after = _built(options.new, model, board, optimize, new)
        equal, found = compare(old / "build", new / "build")
    more = after["flash"] - before["flash"]
    others = [one for one in found if one.why is None]
    if (before["arena"], before["ram"]) != (after["arena"], after["ram"]):
        others.append(Difference("", "RAM", f"{before['ram']} and {after['ram']} bytes", None))
    if not after["settings"] and more > options.flash_most:
        others.append(Difference("", "flash", f"{more} bytes more", None))
    name = f"{model.parent.name}/{model.name}"[-27:]
    counts = f"{equal:6}{len(found):8}{len(others):7}{after['flash']:8}{more:+6}"
    print(f"{name:28}{board:12}{optimize:10}{counts}", flush=True)
    for one in others:
        print(f"    {one.file} {one.symbol}: {one.what}")
    return not others


def _built(checkout: Path, model: Path, board: str, optimize: str, folder: Path) -> dict[str, int]:
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-c", _BUILD, str(model), board, optimize, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, env=environment)
    if done.returncode:
        sys.exit(f"{checkout}: {model} on {board} is not built: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(old: Path, new: Path) -> tuple[int, list[Difference]]:
    """How many symbols that either image has are equal, and those that are not. Folders hold firmware.elf."""
    used = {renamed(symbol) for root in (old, new) for symbol in linked(root / "firmware.elf")}
    files = {path.relative_to(root).as_posix() for root in (old, new) for path in root.rglob("*.o")}
    equal, found = 0, []
    for file in sorted(files):
        ours, theirs = (_parts(root / file) if (root / file).is_file() else {} for root in (old, new))
        for symbol in sorted(ours.keys() | theirs.keys()):
            if symbol not in used and not symbol.startswith("."):
                continue
            a, b = ours.get(symbol), theirs.get(symbol)
            if a == b:
                equal += 1
                continue
            what = "only old" if b is None else "only new" if a is None else f"{a.size} and {b.size} bytes"
            found.append(Difference(file, symbol, what, _allowed(file.removesuffix(".o"), symbol)))
    return equal, found


def renamed(symbol: str) -> str:
    """What a symbol or its section is called now."""
    for pattern, new_name in RENAMED:
        match = re.search(rf"\b{pattern}(?=\.|$)", symbol)  # GCC adds .constprop
        if match:
            numbers = [int(text.replace("m", "-")) for text in match[1].split("_")[1:]]
            return symbol[: match.start()] + new_name(numbers) + symbol[match.end() :]
    return symbol


def _parts(path: Path) -> dict[str, Part]:
    """The parts of an object file under today's names."""
    found = {}
    for symbol, part in parts(path).items():
        patches = sorted((offset, kind, renamed(name)) for offset, kind, name in part.patches)
        found[renamed(symbol)] = replace(part, patches=tuple(patches))
    return found


def _allowed(file: str, symbol: str) -> str | None:
    for pattern, name, why in MAY_DIFFER:
        if re.fullmatch(pattern, file) and re.fullmatch(name, symbol):
            return why
    return None


if __name__ == "__main__":
    sys.exit(main())
