"""The verb `ablate`: what it takes on the command line, and what each step turned out to be worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.flags import load_plugins, parse_memory, running
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.experiment.findings.effects import Effect
    from pipeline.plan.graph import Plan
    from pipeline.recipe.ablation import Arm


@click.option("--step", "steps", metavar="DATASET.STEP", multiple=True, help="Only this step; repeatable.")
@running
def ablate(
    *, recipe: Path, steps: Sequence[str], workspace: Path, workers: int, device: str, memory: str,
    track: Sequence[str], plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Leave out each step of the candidate in turn, and tell what it is worth: bits per byte, and text."""
    from pipeline.commands.run.display import Terminal
    from pipeline.commands.run.run_recipe import run_recipe
    from pipeline.commands.run.tracking import tracking
    from pipeline.core.files.reading.strict_yaml import parse
    from pipeline.core.process.kernel_cache import notice
    from pipeline.experiment.findings.effects import effects_on
    from pipeline.plan.make import make_plan
    from pipeline.recipe.ablation import ablation_of
    from pipeline.recipe.load import load_recipe
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    whole, place = load_recipe(recipe), Workspace(workspace)
    ablation = ablation_of(parse(whole.text, path=recipe).data, name=whole.name, only=steps)
    ablation.data["seed"] = whole.seed
    with (
        Terminal(notice=notice) as progress,
        tracking(ablation.data, wanted=track, workspace=place, progress=progress),
    ):
        outcome = run_recipe(
            ablation.data, workspace=place, workers=workers, progress=progress, device=device,
            memory_bytes=parse_memory(memory),
        )  # fmt: skip
    plan = make_plan(load_recipe(ablation.data), place)
    gate = plan.recipe.gate
    assert gate is not None  # an ablation is of a candidate
    effects = effects_on(plan, base=ablation.candidate, mixtures=[arm.mixture for arm in ablation.arms])
    rows = [_row(plan, arm, effect) for arm, effect in zip(ablation.arms, effects, strict=True)]
    data = {
        "candidate": ablation.candidate,
        "confidence": gate.confidence,
        "steps": sorted(rows, key=lambda row: -row["effect"]),
        "needed": list(ablation.needed),
        "judged_too": [] if gate.sealed else sorted(gate.on),
        "report": outcome.report,
    }
    return VerbAnswer(data, ablation_text(data))


def _row(plan: Plan, arm: Arm, effect: Effect) -> dict[str, Any]:
    """Return what one step is worth, and the documents that are left with it and without."""
    from pipeline.experiment.findings.effects import documents_of

    return {
        "dataset": arm.dataset,
        "step": arm.step,
        "effect": effect.gain,
        "low": effect.low,
        "high": effect.high,
        "by_domain": effect.by_domain,
        "seeds": effect.seeds,
        "documents": {
            name: {"with": documents_of(plan, name), "without": documents_of(plan, other)}
            for name, other in arm.final.items()
        },
    }


def ablation_text(data: dict[str, Any]) -> str:
    """Return one line for each step, the most useful first, and how to read them."""
    from pipeline.commands.texts import table
    from pipeline.experiment.findings.judged import uncounted

    rows = [
        [
            f"{row['dataset']}.{row['step']}",
            f"{row['effect']:+.4f}",
            f"{row['low']:+.4f} to {row['high']:+.4f}",
            _worth(row),
            ", ".join(
                f"{name} {kept['with']:,} of {kept['without']:,} documents" for name, kept in row["documents"].items()
            ),
        ]
        for row in data["steps"]
    ]
    many = len(rows)
    head = ["step", "worth", f"{100 * data['confidence']:g} % interval", "", "leaves"]
    return "\n".join(
        [
            f"Bits per byte that {data['candidate']} needs less with the step than without it:",
            table(rows, head=head),
            f"{many} interval{'s' if many > 1 else ''}: one in {1 / (1 - data['confidence']):.0f} misses by chance. "
            "A step that seems worth nothing may serve another text.",
            *([f"Not left out, as other steps need them: {', '.join(data['needed'])}."] if data["needed"] else ()),
            *([uncounted(data["judged_too"])] if data["judged_too"] else ()),
            f"report: {data['report']}",
        ]
    )


def _worth(row: dict[str, Any]) -> str:
    return "helps" if row["low"] > 0 else "hurts" if row["high"] < 0 else "not settled"
