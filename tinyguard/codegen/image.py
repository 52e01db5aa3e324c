"""From a graph to a linked image, refused early when it cannot fit."""

from pathlib import Path

from tinyguard.boards import Board
from tinyguard.codegen.predict import predict
from tinyguard.codegen.project import generate
from tinyguard.graph import Graph
from tinyguard.toolchain import Image, build, check_fit


def build_image(graph: Graph, board: Board, directory: Path, optimize: str = "balanced") -> Image:
    """Check that `graph` fits `board`, write its project into `directory` and build it.

    Raises TinyguardError: unsupported operators, no room (bytes needed and there), a missing compiler.
    """
    sizes = predict(graph, board, optimize)
    check_fit(board, sizes.constant_bytes, sizes.ram_bytes)
    generate(graph, board, directory, optimize)
    return build(directory, board)


def default_directory(graph: Graph, board: Board) -> Path:
    """Where `flash` and `build` put a project when no folder is given."""
    return Path(".tinyguard") / "build" / f"{board.name}-{graph.sha256[:12]}"
