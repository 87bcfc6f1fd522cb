"""Dagster: one asset a night, whose metadata tells what came out. `dagster dev -f dagster_job.py` shows it."""

import json
import subprocess

import dagster as dg

COMMAND = ".venv/bin/tamis run nightly.yaml --new-only --max-hours 6 --json --log nightly.log --summary nightly.md"
FINE = (0, 3)  # a verdict that promotes nothing is no failure of the night


@dg.asset
def promoted_mixture(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Add what is new to the promoted mixture."""
    done = subprocess.run(COMMAND.split(), cwd="/srv/tamis", stdout=subprocess.PIPE, text=True)
    if done.returncode not in FINE:
        raise dg.Failure(description=f"tamis ended with {done.returncode}; its log says why")
    outcome = json.loads(done.stdout)
    context.log.info(outcome["sentence"])
    told = ("sentence", "verdict", "promoted", "cost_usd", "nothing_new")
    return dg.MaterializeResult(metadata={key: str(outcome[key]) for key in told})


nightly = dg.ScheduleDefinition(name="tamis_nightly", target=[promoted_mixture], cron_schedule="30 2 * * *")
defs = dg.Definitions(assets=[promoted_mixture], schedules=[nightly])
