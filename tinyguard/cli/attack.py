"""tinyguard attack: what an attacker leaves of a network's accuracy, on the host or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinyguard.cli._options import answer_option, console, json_option, print_json


class _Listing(click.Command):
    """Its help ends with the list of attacks, which is made when it is asked for."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from tinyguard.cli._attack_list import listing

        formatter.write(f"\n{listing()}\n")


@click.command(cls=_Listing)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--data", help="digits, mnist, cifar10, an .npz or a folder of class folders.")
@click.option("--attack", help="One of the attacks below.")
@click.option("--eps", help="Budget: 8/255 or 0.03 of the pixel range, or 2codes of the network's input.")
@click.option("--norm", help="linf, l2, ...: one that the attack has.")
@click.option("--setting", help="white-box, transfer or black-box; the default is what the attack needs.")
@click.option(
    "--backend",
    help="What is attacked: simulator (default), litert, reference, compiled, float, or xnnpack, a PC's "
    "default interpreter.",
)
@click.option("--serial", help="Port of a board: device path, PTY or any pyserial URL; `auto` finds it.")
@click.option(
    "--source",
    multiple=True,
    help="The float network: .keras, .pt2, .onnx or FILE.py:FUNCTION; several are averaged.",
)
@click.option("--scores", type=click.Choice(["output", "logits"]), default="output", show_default=True,
              help="What score attacks see; logits are a separate threat model.")  # fmt: skip
@click.option("--grid", type=click.Choice(["codes", "pixels"]),
              help="Points an attack may choose: every code (int8), or whole pixels (int16).")  # fmt: skip
@click.option("--filter-gradient", type=click.Choice(["smooth", "identity"]), default="smooth",
              show_default=True, help="How gradients pass input filters; identity is BPDA.")  # fmt: skip
@click.option("--detector", type=click.Choice(["aware", "ignored"]), default="aware", show_default=True,
              help="Whether gradients see the squeezed versions that a detector compares.")  # fmt: skip
@click.option("--targeted", metavar="CLASS|next", help="Success is this class, or the one after the label.")
@click.option("--loss", help="ce, margin or dlr, for attacks that have a choice.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of the attack.")
@click.option("--restarts", type=click.IntRange(min=1), help="Starts of the attack.")
@click.option("--queries", type=click.IntRange(min=1), help="Most queries a sample.")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="Any parameter of the attack.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
              help="The same seed gives the same bytes.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples only.")
@answer_option
@click.option("--batch-size", type=click.IntRange(min=1), default=128, show_default=True,
              help="Samples in one pass of the simulator; changes no result.")  # fmt: skip
@click.option("--check", is_flag=True, help="Look for gradient masking: does the figure deserve trust?")
@click.option("--surface", metavar="FILE.png", type=click.Path(path_type=Path),
              help="Draw the loss around a sample; --check -o ADV.NPZ draws it beside ADV.NPZ.")  # fmt: skip
@click.option("--measure", type=click.Choice(["gradients", "attenuation"]),
              help="Figures in an attack's place; -o FILE.png draws them.")  # fmt: skip
@click.option("--replay", metavar="ADV.NPZ", type=click.Path(path_type=Path),
              help="Score stored inputs again and compare with the exact host network.")  # fmt: skip
@click.option("-o", "--out", "output", type=click.Path(path_type=Path),
              help="Write the inputs found, .npz; with --config, the folder of results.")  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), help="Run the campaign of a study file, .toml.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="With --config.")
@click.option("--scheduler", metavar="ADDRESS", help="With --config: a Dask scheduler.")
@json_option
def command(
    model: Path | None,
    measure: str | None,
    replay: Path | None,
    config: Path | None,
    jobs: int,
    scheduler: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Attack MODEL, an integer .tflite file, as the device runs it.

    Every figure is the exact integer network's, scored again on the back end from the inputs found.
    """
    if config is not None:
        if model is not None or any(options[name] is not None for name in ("data", "attack", "answer")):
            raise click.UsageError(
                "--config takes networks, outputs, data and attacks from the study file: name it alone"
            )
        from tinyguard.cli._campaign import run_config

        run_config(config, jobs, scheduler, as_json, options["output"], options["limit"])
        return
    if model is None:
        raise click.UsageError("name the MODEL, a .tflite file")
    if options["serial"] is not None and options["backend"] is not None:
        raise click.UsageError("--serial runs the board, --backend the host: give one of them")
    if replay is not None:
        _replay(model, replay, options, as_json)
        return
    for name in ("data",) if measure else ("data", "attack"):
        if options[name] is None:
            raise click.UsageError(f"--{name} is missing (see --help)")
    from tinyguard.robustness.attacked_network import require_torch

    require_torch()
    if measure is not None:
        from tinyguard.cli._measure import run_measure

        run_measure(measure, model, as_json, options)
        return
    from tinyguard.cli._attack import AttackOptions, run_attack, show_attack

    run = run_attack(model, AttackOptions(**options))
    if as_json:
        print_json(run.as_dict())
    else:
        show_attack(console, run, options["output"])


def _replay(model: Path, path: Path, options: dict[str, Any], as_json: bool) -> None:
    from tinyguard.backends.choose import exact_host_backend
    from tinyguard.cli._model import board_port
    from tinyguard.cli._progress import sample_progress
    from tinyguard.cli._replay import show_replay
    from tinyguard.robustness.attacked_network import open_scored
    from tinyguard.robustness.stored_inputs import check_stored, load_adversarial, replay
    from tinyguard.tflite import read_graph

    graph = read_graph(model, output=options["answer"])
    stored = load_adversarial(path)
    check_stored(stored, graph)
    exact = exact_host_backend(graph)
    serial = options["serial"]
    name = board_port(serial) if serial is not None else options["backend"] or "simulator"
    scored = exact if name == "simulator" else open_scored(name, model, graph)
    with sample_progress(scored.name, len(stored.y)) as update:
        result = replay(stored, graph, scored, exact, update)
    if as_json:
        print_json(result.as_dict())
    else:
        show_replay(console, result)
