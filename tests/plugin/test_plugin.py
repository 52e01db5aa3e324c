# SPDX-License-Identifier: Apache-2.0
"""A section and an operator of another package work everywhere with no edit here."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.plugin.conftest import DIGITS as PATH
from tests.plugin.conftest import TOY, marked
from tinyguard import passes
from tinyguard.backends.choose import open_backend
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.defenses.input_filters import with_filters
from tinyguard.defenses.monte_carlo_dropout import with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.graph import with_settings
from tinyguard.operators import registry
from tinyguard.robustness.attacked_network import open_scored
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.stochastic import Stochastic, site_layers

DIGITS = PATH.read_bytes()
INSTALL = Callable[[str, Path], None]


def samples(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (count, 8, 8, 1)).astype(np.int8)


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from tinyguard.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.usefixtures("toy")
def test_every_way_of_running_gives_the_same_bytes() -> None:
    graph, x = read_graph(marked(60, with_filters(DIGITS, [parse_filter("median")]))), samples()
    graph = with_settings(graph, {"toy_above": 120})
    assert graph.nodes[-1].operator == "TOY_MARK"
    assert dict(graph.roles) == {graph.outputs[1]: "mark"}
    scores, mark = ReferenceBackend(graph).run(x)
    np.testing.assert_array_equal(mark[:, 0], scores.max(axis=1) < 120)
    assert 0 < mark.mean() < 1
    optimized = passes.optimize(graph)
    assert optimized.nodes[-1].operator == "TOY_MARK"
    for backend in (
        Simulator(graph),
        Simulator(with_settings(graph, {"toy_above": -128})).under({"toy_above": 120}),
        CompiledBackend(graph, sanitize=True, optimize="-O1"),
        ReferenceBackend(optimized),
        CompiledBackend(optimized),
    ):
        for found, wanted in zip(backend.run(x), (scores, mark), strict=True):
            np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.usefixtures("toy")
def test_marks_pass_no_gradient_and_leave_that_of_the_scores() -> None:
    import torch

    x = torch.from_numpy(samples(4).astype(np.float32)).requires_grad_()
    scores, mark = Simulator(read_graph(marked(120)))(x)
    (of_marks,) = torch.autograd.grad(mark.sum(), x, retain_graph=True)
    (of_scores,) = torch.autograd.grad(scores[:, 3].sum(), x)
    assert not of_marks.any()
    assert of_scores.any()


@pytest.mark.usefixtures("toy")
def test_it_stands_behind_a_section_that_replays_the_network() -> None:
    site = read_graph(DIGITS).node_name(site_layers(read_graph(DIGITS))[-1])
    graph = read_graph(with_stochastic(marked(120), Stochastic((site,), 26, 3)))
    assert [graph.roles.get(index) for index in graph.outputs] == ["scores", "uncertainty", "mark"]
    x = samples(10)
    for found, wanted in zip(CompiledBackend(graph).run(x), ReferenceBackend(graph).run(x), strict=True):
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.usefixtures("toy")
def test_a_run_time_that_ignores_the_metadata_runs_the_layers_of_the_file_between_those_of_the_record(
    tmp_path: Path,
) -> None:
    path = tmp_path / "marked.tflite"
    path.write_bytes(marked(120, with_filters(DIGITS, [parse_filter("median")])))
    graph, x = read_graph(path), samples()
    for found, expected in zip(
        open_backend("litert", path, graph).run(x), ReferenceBackend(graph).run(x), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(TinyguardError, match="knows nothing of toy marks: type --backend"):
        open_scored("xnnpack", path, graph)


@pytest.mark.usefixtures("toy")
def test_diff_compares_its_tensor(tmp_path: Path) -> None:
    path = tmp_path / "marked.tflite"
    path.write_bytes(marked(120))
    for backend in ("simulator", "compiled"):
        done = command("diff", str(path), "--backend", backend, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["layers"][-1]["operator"] == "TOY_MARK"


def test_a_reader_without_the_package_refuses_the_file_by_name(
    tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del toy
    path = tmp_path / "marked.tflite"
    path.write_bytes(marked(120))
    assert command("inspect", str(path)).returncode == 0
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = command("inspect", str(path))
    assert done.returncode == 1
    assert "needs the section 'toy_mark', which this tinyguard does not know" in " ".join(done.stderr.split())


def test_nothing_is_left_behind() -> None:
    assert "TOY_MARK" not in registry()


@pytest.mark.parametrize(
    ("declares", "words"),
    [
        ("a = no_such_module", "toy brings 'no_such_module' .* cannot be loaded .ModuleNotFoundError"),
        ("a = tinyguard_toy:missing", "cannot be loaded .AttributeError"),
        ("a = tinyguard_toy.mark:ToyMark", "cannot be loaded .TypeError"),
        ("a = tinyguard_toy:SECTION", "cannot be loaded .TypeError"),
    ],
)
def test_an_entry_that_cannot_be_loaded_is_one_line(install: INSTALL, declares: str, words: str) -> None:
    install(declares, TOY)
    for reads in (registry, lambda: read_metadata(DIGITS)):
        with pytest.raises(TinyguardError, match=words) as refused:
            reads()
        assert "\n" not in str(refused.value)


def test_a_callable_returns_what_counts(install: INSTALL, tmp_path: Path) -> None:
    (tmp_path / "tinyguard_toy_call.py").write_text(
        "def parts():\n    from tinyguard_toy.mark import ToyMark\n    return [ToyMark]\n"
    )
    sys.path.append(str(tmp_path))
    try:
        install("a = tinyguard_toy_call:parts", TOY)
        assert registry()["TOY_MARK"].__name__ == "ToyMark"
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "from tinyguard.tflite.record import Section\nA = Section('filters', 'f', list, list)",
            "toy brings the section 'filters', which is there already",
        ),
        (
            "from tinyguard.operators import Operator\nclass A(Operator):\n    names = ('ABS',)",
            "toy brings the operator 'ABS', which is there already",
        ),
        (
            "from tinyguard.tflite.record import Section\nA = Section('b', 'b', list, list, place='attic')",
            "the place 'attic'",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused(
    install: INSTALL, tmp_path: Path, source: str, words: str
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tinyguard_toy.py").write_text(source)
    install("a = tinyguard_toy", tmp_path / "code")
    with pytest.raises(TinyguardError, match=words):
        read_graph(DIGITS)
