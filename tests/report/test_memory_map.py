# SPDX-License-Identifier: Apache-2.0
"""The picture of the arena: well-formed, every buffer where the plan has it, whatever the names."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.codegen.networks import chain
from tinyguard.cli import group
from tinyguard.codegen import prepare_for
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.report.memory_map import boxes, memory_svg
from tinyguard.report.memory_text import memory_text
from tinyguard.report.picture import write_picture

SVG = "{http://www.w3.org/2000/svg}"
DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


def _boxes_drawn(svg: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return [box for box in root.iter(f"{SVG}rect") if box.find(f"{SVG}title") is not None]


def test_every_buffer_is_a_box_of_its_size_and_lifetime() -> None:
    source = prepare_for(chain(size=8, channels=(16, 16, 16)))
    drawn = _boxes_drawn(memory_svg(source, "a chain"))
    buffers = [box.buffer for box in boxes(source)]
    assert len(drawn) == len(buffers) == len(source.plan.buffers)
    arena_height = 440
    for element, buffer in zip(drawn, buffers, strict=True):
        share = buffer.size_bytes / source.plan.arena_bytes
        assert float(element.get("height", 0)) == pytest.approx(share * arena_height, abs=2)
        title = element.findtext(f"{SVG}title") or ""
        assert (
            f"{buffer.size_bytes:,} bytes at {buffer.offset:,}, layers {buffer.first} to {buffer.last}"
            in title
        )
    first = min(drawn, key=lambda box: float(box.get("x", 0)))
    assert "input, " in (first.findtext(f"{SVG}title") or "")


@pytest.mark.parametrize("name", ["<script>&\"'</svg>", "\x00\x01\ud7ff\u2028", "a/" * 200, ""])
def test_hostile_names_stay_text(name: str) -> None:
    graph = chain()
    tensors = tuple(replace(tensor, name=name) for tensor in graph.tensors)
    source = prepare_for(Graph(tensors, graph.nodes, graph.inputs, graph.outputs))
    root = ElementTree.fromstring(memory_svg(source, name))
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "rect", "title", "text", "line")
    }


def test_the_terminal_shows_the_same_rows() -> None:
    source = prepare_for(chain(size=8, channels=(16, 16, 16)))
    lines = memory_text(source, 80).plain.splitlines()
    assert len(lines) == 17
    assert lines[0].startswith(f"{source.plan.arena_bytes:>10,} ")
    assert all(len(line) <= 80 for line in lines)
    assert "█" in lines[15]
    assert re.search(r"0 .*1", lines[16])


def test_inspect_draws_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "arena.svg"
    arguments = ["inspect", str(DIGITS), "--board", "mps2-an385", "--memory", str(path)]
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "arena over time" in result.output
    assert len(_boxes_drawn(path.read_text())) > 2


@pytest.mark.skipif(shutil.which("rsvg-convert") is None, reason="rsvg-convert is not installed")
def test_png_is_drawn_by_librsvg(tmp_path: Path) -> None:
    write_picture(tmp_path / "arena.png", memory_svg(prepare_for(chain()), "a chain"))
    assert (tmp_path / "arena.png").read_bytes().startswith(b"\x89PNG")


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TinyguardError, match=r"end it in \.svg or \.png"):
        write_picture(tmp_path / "arena.jpg", "<svg/>")
    with pytest.raises(TinyguardError, match="no folder"):
        write_picture(tmp_path / "nowhere" / "arena.svg", "<svg/>")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TinyguardError, match="librsvg2-bin"):
        write_picture(tmp_path / "arena.png", "<svg/>")
