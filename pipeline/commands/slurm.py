"""The verb `slurm`: a recipe as a job of a Slurm cluster, written, submitted and asked after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.commands.flags import AS_JSON, FILE, MEMORY, PLUGINS, WORKSPACE, load_plugins, parse_memory
from pipeline.commands.questions import VerbAnswer


@click.argument("recipes", type=FILE, metavar="RECIPE...", nargs=-1, help="Recipes; several run one after the other.")
@click.option("--nodes", type=click.IntRange(min=1), metavar="NUMBER", default=1, help="Machines.")
@click.option("--cpus", type=click.IntRange(min=1), metavar="NUMBER", help="Cores of each; without it all of them.")
@click.option("--gpus", type=click.IntRange(min=1), metavar="NUMBER", help="GPUs of each, for proxies.")
@click.option("--node-memory", metavar="SIZE", help="Memory of each, as sbatch has it: 64G.")
@click.option(
    "--time", metavar="TIME", help="Most time of one start, as sbatch has it: 8:00:00. It goes on in the next."
)
@click.option("--partition", metavar="NAME", help="Where to queue.")
@click.option("--account", metavar="NAME", help="Whom to charge.")
@click.option("--sbatch", "options", metavar="OPTION", multiple=True, help="Any other option of sbatch; repeatable.")
@click.option(
    "--key-file", type=FILE, metavar="FILE", help="File on the head that holds the API key, for the run alone."
)
@click.option("--device", default="auto", help="Where proxies train: auto, cpu or cuda.")
@click.option("--submit", is_flag=True, help="Hand the script to sbatch.")
@click.option("--state", is_flag=True, help="Tell what became of the jobs of the workspace.")
@MEMORY
@PLUGINS
@WORKSPACE
@AS_JSON
def slurm(
    *, recipes: Sequence[Path], nodes: int, cpus: int | None, gpus: int | None, node_memory: str | None,
    time: str | None, partition: str | None, account: str | None, options: Sequence[str], key_file: Path | None,
    device: str, submit: bool, state: bool, memory: str, plugin: Sequence[Path], workspace: Path, as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Write the script of a Slurm job that runs recipes on many machines, and submit it."""
    from pipeline.core.errors import RecipeError
    from pipeline.engine import slurm as jobs
    from pipeline.recipe.load import load_recipe

    if state:
        found = jobs.states(workspace)
        lines = [f"{each.id}  {each.name}  {each.state}  {each.reason}\n    {each.log}" for each in found]
        return VerbAnswer(
            {"jobs": [each.row() for each in found]}, "\n".join(lines) or "no job was submitted from here"
        )
    if not recipes:
        raise RecipeError("slurm: no recipe was given. Name one, or ask with --state.")
    parse_memory(memory)
    load_plugins(plugin)
    job = jobs.job_of(
        recipes, names=[load_recipe(recipe).name for recipe in recipes], workspace=workspace, folder=Path.cwd(),
        plugins=tuple(plugin), memory=memory, device=device, key_file=key_file,
    )  # fmt: skip
    allocation = jobs.Allocation(nodes, time, partition, cpus, gpus, node_memory, account, tuple(options))
    script = jobs.write_script(job, allocation)
    told = {"script": str(script), "recipes": [str(recipe) for recipe in recipes]}
    if not submit:
        return VerbAnswer(told | {"job": None}, f"script: {script}\nTo submit it: tamis slurm ... --submit, or sbatch")
    number = jobs.submit(job)
    return VerbAnswer(
        told | {"job": number}, f"script: {script}\nsubmitted: job {number}; ask with `tamis slurm --state`"
    )
