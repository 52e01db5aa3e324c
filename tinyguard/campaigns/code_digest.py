# SPDX-License-Identifier: Apache-2.0
"""A digest of what modules compute, by their syntax trees.

Left out are comments, positions, docstrings, annotations, the words of errors, an attack's line in the help,
the order of imports and those for type checkers alone, and the names of modules: a file that moves stays what
it was.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator

from tinyguard.errors import TinyguardError

_FOLLOWED = "tinyguard.attacks"


def code_digest(followed: Iterable[str], alone: Iterable[str] = ()) -> str:
    """A hash of the modules `followed` and `alone`.

    Those followed count with all that they import of `tinyguard.attacks` and, in a plug-in, of their own
    package, at any depth and inside functions too.

    Raises TinyguardError for a module that is not there.
    """
    return _digest(tuple(sorted(set(followed))), tuple(sorted(set(alone))))


def modules_of(followed: Iterable[str]) -> frozenset[str]:
    """The modules that `code_digest` reads for those `followed`."""
    waiting, modules = list(followed), set[str]()
    while waiting:
        module = waiting.pop()
        if module not in modules:
            modules.add(module)
            waiting += _imports(module)
    return frozenset(modules)


@functools.cache
def _digest(followed: tuple[str, ...], alone: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for content in sorted(_content(module) for module in modules_of(followed).union(alone)):
        digest.update(content)
    return digest.hexdigest()


@functools.cache
def _content(module: str) -> bytes:
    """A hash of what one module computes."""
    bare = _Bare().visit(_tree(module))
    return hashlib.sha256(ast.dump(bare).encode()).digest()


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """What of the packages that are followed a module imports when it runs."""
    return tuple(sorted(set(_imported(module))))


def _imported(module: str) -> Iterator[str]:
    own = module.partition(".")[0]
    packages = {_FOLLOWED} if own == _FOLLOWED.partition(".")[0] else {_FOLLOWED, own}
    for node in ast.walk(_without_types(_tree(module))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, _package(module)) if node.level else base
            parts = [f"{base}.{alias.name}" for alias in node.names]
            names = [part if _inside(part, packages) and _is_module(base, part) else base for part in parts]
        else:
            continue
        yield from (name for name in names if _inside(name, packages))


def _inside(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _is_module(package: str, name: str) -> bool:
    """Whether `name` is a file of `package` and nothing that a file defines."""
    spec = importlib.util.find_spec(package)
    folder = spec is not None and spec.submodule_search_locations is not None
    return folder and importlib.util.find_spec(name) is not None


def _package(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return "" if spec is None else str(spec.parent)


def _tree(module: str) -> ast.Module:
    return ast.parse(source_of(module))


def source_of(module: str) -> str:
    """The text of a module. Raises TinyguardError where there is none."""
    try:
        spec = importlib.util.find_spec(module)
        source = None if spec is None else spec.loader.get_source(module)  # type: ignore[union-attr]
    except (ImportError, AttributeError):
        source = None
    if source is None:
        raise TinyguardError(
            f"the source of {module} is not there, and a campaign tells by it whether results are still this "
            "code's: install the package with its .py files"
        )
    return source


def _without_types(tree: ast.Module) -> ast.Module:
    """The tree without what runs for type checkers alone."""
    return _Checked().visit(tree)


def _names(test: ast.expr) -> str:
    return test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")


class _Checked(ast.NodeTransformer):
    """Takes the branches of `if TYPE_CHECKING` out."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if _names(node.test) != "TYPE_CHECKING":
            return self.generic_visit(node)
        return [self.visit(line) for line in node.orelse]


class _Bare(_Checked):
    """Leaves what is computed, see above."""

    def _body(self, node: ast.AST) -> ast.AST:
        lines = [line for line in node.body if not _is_text(line)]  # type: ignore[attr-defined]
        imports = [line for line in lines if isinstance(line, ast.Import | ast.ImportFrom)]
        node.body = [line for line in lines if line not in imports]  # type: ignore[attr-defined]
        self.generic_visit(node)
        known = sorted((alias.name, alias.asname or "") for line in imports for alias in line.names)
        node.body[:0] = [ast.Expr(ast.Constant(repr(known)))]  # type: ignore[attr-defined]
        return node

    visit_Module = visit_ClassDef = _body  # noqa: N815

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._body(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if _names(node.target) == "summary":
            return None
        if node.value is None:  # a field
            return ast.Expr(node.target)
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(raised, None)


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
