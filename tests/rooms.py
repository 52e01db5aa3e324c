# SPDX-License-Identifier: Apache-2.0
"""What tests/test_rooms.py asks of the package: pure functions over {module: its source}.

A room is the first part of a module's name after `tinyguard.`: a folder with all that is in it, or a file
beside the folders. Every import counts, those in functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import functools
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "tinyguard"
Sources = Mapping[str, str]


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong in a line of a module, and what to do."""

    module: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.text}"


@dataclass(frozen=True, order=True)
class Import:
    """`module` imports `target`, a module of the package; `scanned` where a name is put together for it."""

    module: str
    line: int
    target: str
    scanned: bool = False


@dataclass(frozen=True)
class Permission:
    """Why several modules of one name may stand in `places`, which are rooms or folders in them."""

    places: tuple[str, ...]
    reason: str


def sources_of(root: Path) -> dict[str, str]:
    """The modules of the package in `root` by their names; a folder's is its `__init__.py`."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def room_of(module: str) -> str:
    """The room of a module; the package's own file is one of its own."""
    return module.split(".")[1] if "." in module else module


# ---- what is imported ------------------------------------------------------------------------------------


@functools.cache
def _tree(source: str) -> ast.Module:
    return ast.parse(source)


def imports_of(sources: Sources) -> list[Import]:
    """All imports among the modules, in their order. `from a import b` imports a.b where that is a module."""
    packages = {name.rpartition(".")[0] for name in sources}
    return [found for module in sources for found in sorted(set(_imports(module, sources, packages)))]


def _imports(module: str, sources: Sources, packages: set[str]) -> Iterator[Import]:
    for node in ast.walk(_tree(sources[module])):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = len(parts) - node.level + (module in packages)
                base = ".".join([*parts[:kept], *filter(None, [node.module])])
            if base.split(".")[0] == PACKAGE:
                for alias in node.names:
                    whole = f"{base}.{alias.name}"
                    yield Import(module, node.lineno, whole if whole in sources else base)
        elif isinstance(node, ast.Call) and (target := _scanned(node, sources)):
            yield Import(module, node.lineno, target, scanned=True)


def _scanned(call: ast.Call, sources: Sources) -> str | None:
    """The module, or the folder of one, that `import_module` is given as text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("import_module", "__import__") or not call.args:
        return None
    text = call.args[0].values[0] if isinstance(call.args[0], ast.JoinedStr) else call.args[0]
    if not isinstance(text, ast.Constant) or not str(text.value).startswith(f"{PACKAGE}."):
        return None
    target = str(text.value)
    while target not in sources and "." in target:
        target = target.rpartition(".")[0]
    return target


# ---- the checks ------------------------------------------------------------------------------------------


def upward(sources: Sources, order: Sequence[str]) -> list[Problem]:
    """Imports of a room above, and rooms that the order does not name."""
    place = {room: index for index, room in enumerate(order)}
    problems = [
        Problem(module, 1, f"the room {room_of(module)!r} has no place: name it in the order and in README")
        for module in sources
        if room_of(module) not in place
    ]
    for each in imports_of(sources):
        room, target = room_of(each.module), room_of(each.target)
        if room in place and target in place and place[target] < place[room]:
            text = (
                f"imports {each.target}, and the room {target!r} stands above {room!r}: move what both need "
                "to a room below both, or take it as an argument"
            )
            problems.append(Problem(each.module, each.line, text))
    return sorted(problems)


def circles(sources: Sources) -> list[Problem]:
    """The shortest circle of every set of files that import each other."""
    edges: dict[str, dict[str, int]] = defaultdict(dict)
    for each in imports_of(sources):
        if not each.scanned and each.module != each.target:
            edges[each.module].setdefault(each.target, each.line)
    problems, seen = [], set[str]()
    loops = (loop for module in sources if (loop := _loop(module, edges)))
    for loop in sorted(loops, key=lambda loop: (len(loop), loop)):
        if seen.isdisjoint(loop):
            lines = [edges[one][other] for one, other in zip(loop, loop[1:] + loop[:1], strict=True)]
            steps = [f"{one} (line {line})" for one, line in zip(loop, lines, strict=True)]
            text = (
                f"is in a circle of files, {' -> '.join([*steps, loop[0]])}: move what two of them need to "
                "a file that imports neither"
            )
            problems.append(Problem(loop[0], lines[0], text))
        seen.update(loop)
    return sorted(problems)


def _loop(start: str, edges: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The shortest way from a module back to it, without the return; empty without one."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in sorted(edges.get(module, ())):
            if target == start:
                way = [module]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if target not in before:
                before[target] = module
                queue.append(target)
    return []


def private(sources: Sources) -> list[Problem]:
    """Imports of another room's private modules."""
    return [
        Problem(
            each.module,
            each.line,
            f"imports {each.target}, which is private to the room {room_of(each.target)!r}: take away its "
            "underscore, or ask for what it does from a public module",
        )
        for each in imports_of(sources)
        if room_of(each.module) != room_of(each.target)
        and any(part.startswith("_") for part in each.target.split("."))
    ]


def repeated(sources: Sources, permitted: Mapping[str, Permission]) -> list[Problem]:
    """Modules of one name in several places that no permission allows, and permissions that allow nothing.

    A room's name is taken, and its own file of that name is the room. A folder in a room takes no name.
    """
    folders = {module.rpartition(".")[0] for module in sources}
    named: dict[str, list[str]] = defaultdict(list)
    for module in sources:
        name, room = module.rpartition(".")[2], room_of(module)
        if module not in folders and name != room:
            named[name].append(module)
    for room in {room_of(module) for module in sources}:
        named[room].append(f"{PACKAGE}.{room}" if room != PACKAGE else room)
    problems = []
    for name, modules in named.items():
        places = permitted[name].places if name in permitted else ()
        others = [module for module in modules if not _stands_in(module, places)]
        if len(modules) > 1 and others:
            last = max(others, key=lambda module: (module.count("."), module))
            same = ", ".join(sorted({*modules} - {last}))
            text = f"has the name of {same}: give it a name of its own, or permit it in tests/test_rooms.py"
            problems.append(Problem(last, 1, text))
    for name in permitted:
        if len(named[name]) < 2:
            where = (named[name] or [f"{PACKAGE}.{name}"])[0]
            text = f"is the only {name!r}, or gone: take its permission out of tests/test_rooms.py"
            problems.append(Problem(where, 1, text))
    return sorted(problems)


def _stands_in(module: str, places: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{PACKAGE}.{place}.") for place in places)


def defense_operators(sources: Sources) -> dict[str, set[str]]:
    """Modules that define operators which no .tflite file may hold (`in_file`), with the names of these."""
    classes = [
        (module, node)
        for module in sources
        if room_of(module) == "operators"
        for node in ast.walk(_tree(sources[module]))
        if isinstance(node, ast.ClassDef)
    ]
    ours: set[str] = set()
    while True:
        more = {
            node.name
            for _, node in classes
            if _assigned(node, "in_file") is False
            or any(isinstance(base, ast.Name) and base.id in ours for base in node.bases)
        }
        if more <= ours:
            break
        ours |= more
    found: dict[str, set[str]] = defaultdict(set)
    for module, node in classes:
        if node.name in ours:
            found[module].update(_assigned(node, "names") or ())
    return dict(found)


def _assigned(node: ast.ClassDef, name: str) -> object:
    """The literal that a class variable is set to; None without one."""
    for line in node.body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(line, "value", None)
            return ast.literal_eval(value) if value is not None else None
    return None


def named_defenses(sources: Sources, rooms: Sequence[str]) -> list[Problem]:
    """Where a room that is none of `rooms` imports an operator of a defense or holds the name of one."""
    modules = defense_operators(sources)
    names = {name for some in modules.values() for name in some}
    advice = (
        f"ask the graph's roles and settings or Operator.in_file, or move it to one of {', '.join(rooms)}"
    )
    problems = [
        Problem(each.module, each.line, f"imports {each.target}, an operator of a defense: {advice}")
        for each in imports_of(sources)
        if each.target in modules and room_of(each.module) not in rooms
    ]
    for module, source in sources.items():
        if room_of(module) in rooms:
            continue
        for node in ast.walk(_tree(source)):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and (text in names or (text.endswith("_") and _begins_one(text, names))):
                said = f"names {text!r}, an operator of a defense: {advice}"
                problems.append(Problem(module, node.lineno, said))
    return sorted(problems)


def _begins_one(text: str, names: set[str]) -> bool:
    return any(name.startswith(text) for name in names)


def torch_imports(sources: Sources, rooms: Sequence[str], for_types: Sequence[str] = ()) -> list[Problem]:
    """Imports of torch in `rooms`; the modules `for_types` may import it under TYPE_CHECKING."""
    problems = []
    for module, source in sources.items():
        if room_of(module) not in rooms:
            continue
        tree = _tree(source)
        spared: set[ast.AST] = set()
        if module in for_types:
            for node in ast.walk(tree):
                if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                    spared.update(inner for line in node.body for inner in ast.walk(line))
        for node in ast.walk(tree):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                named = [node.module or ""]
            if node not in spared and any(name.split(".")[0] == "torch" for name in named):
                text = "imports torch, which a core installation lacks: move what needs it to simulator/"
                problems.append(Problem(module, node.lineno, text))
    return sorted(problems)
