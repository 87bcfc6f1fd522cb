"""What is told of a machine: limits that bind, a store that lies, and never a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.queries.machine.disk import file_system_of, look_at_disk
from pipeline.queries.machine.examine import look_at_store
from pipeline.queries.machine.processor import cpu_share, memory_limit
from tests.s3_server import S3, each_time


def test_the_verb_tells_each_line_with_its_way_out_leaves_nothing_behind_and_no_key(tmp_path: Path) -> None:
    key = "CANARY-of-25-characters--"
    command = [sys.executable, "-m", "pipeline", "doctor", "--machine", "--json", "-w", str(tmp_path / "new" / "w")]

    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=200,
        env=os.environ | {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": f"http://me:{key}@127.0.0.1:9/?token={key}"},
    )  # fmt: skip

    told = json.loads(ran.stdout)
    levels = {one["check"]: one["level"] for one in told["findings"]}
    assert ran.returncode == (1 if told["fail"] else 0)
    assert levels["key"] == levels["clock"] == levels["packages"] == levels["workspace writes"] == "ok"
    assert all(one["way_out"] for one in told["findings"] if one["level"] != "ok")
    assert "CANARY" not in ran.stdout + ran.stderr and str(len(key)) not in next(
        one["found"] for one in told["findings"] if one["check"] == "key"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    found = list(look_at_disk("workspace", Path("/proc/tamis")))

    assert [(one.check, one.level) for one in found if one.level == "fail"][-1] == ("workspace writes", "fail")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / /mnt/a\\040b rw - nfs4 server:/x rw\n", encoding="ascii"
    )
    assert file_system_of(Path("/mnt/a b/w"), mounts=mounts) == "nfs4"
    assert file_system_of(Path("/mnt/other"), mounts=mounts) == "ext4"


def test_control_groups_of_both_versions_bind_by_the_tightest_above(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/job/step\n3:cpu,cpuacct:/\n0::/slice/unit\n", encoding="ascii")
    for name, text in {
        "slice/cpu.max": "150000 100000", "slice/unit/cpu.max": "max 100000", "slice/memory.max": "max",
        "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
        "memory/job/memory.limit_in_bytes": "3000000000", "memory/memory.limit_in_bytes": "9223372036854771712",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")

    assert cpu_share(tmp_path, own) == 1.5
    assert memory_limit(tmp_path, own) == 3_000_000_000
    assert (cpu_share(tmp_path, tmp_path / "none"), memory_limit(tmp_path, tmp_path / "none")) == (None, None)


def test_a_store_is_probed_and_one_that_writes_over_objects_fails(s3: S3) -> None:
    good = list(look_at_store("s3://bucket/w"))
    with s3.failing(each_time("blind", method="PUT", inside="probe", times=9)):
        blind = list(look_at_store("s3://bucket/w"))
    missing = list(look_at_store("s3://no-such-bucket/w"))

    assert [(one.check, one.level) for one in good] == [
        ("store", "ok"), ("store latency", "ok"), ("store clock", "ok"),
    ]  # fmt: skip
    assert (blind[0].level, missing[0].level) == ("fail", "fail") and "is told to create only" in blind[0].found
    assert "there is no bucket" in missing[0].found and "CANARY" not in repr([good, blind, missing])
    assert s3.count("DELETE") >= 2
