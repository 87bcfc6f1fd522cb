"""Airflow 3: one task a night, skipped where nothing is new, never two at once. Put it into the folder of DAGs."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

COMMAND = ".venv/bin/tamis run nightly.yaml --new-only --skip-code --max-hours 6 --log nightly.log --summary nightly.md"

with DAG(
    dag_id="tamis_nightly", schedule="30 2 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1
) as dag:
    BashOperator(
        task_id="new_only", bash_command=COMMAND, cwd="/srv/tamis", append_env=True, skip_on_exit_code=99,
        retries=2, retry_delay=timedelta(minutes=30),  # a run that was stopped goes on where it was
    )  # fmt: skip
