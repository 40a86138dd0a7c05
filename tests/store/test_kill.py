"""A process that is killed at any moment leaves a study with everything it had committed."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recorders import recorder

from lrscope.store.study_file import StudyFile

HERE = Path(__file__).parent

ENDLESS = """
import dataclasses, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from recorders import PLAN, losses, record, recorder

plan = dataclasses.replace(PLAN, epochs=100_000, steps_per_epoch=10)
with recorder(sys.argv[2], plan) as writer:
    for first in range(0, plan.steps, 10):
        writer.write(losses(first, first + 9, plan, np.float64))
        writer.write(record("trajectory", range(first, first + 10), np.full((10, 6, 3), first)))
        writer.commit()
        print(first + 9, flush=True)
"""

AGAIN_AND_AGAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from recorders import losses, recorder

print("ready", flush=True)
while True:
    with recorder(sys.argv[2], overwrite=True) as writer:
        writer.write(losses(0, 11))
"""


def integrity(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def start(script: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, str(HERE), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill(process: "subprocess.Popen[str]") -> list[str]:
    """End it as a power switch would; give the lines it said."""
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return said.split("\n")[:-1]  # the last may be half a line


@pytest.mark.parametrize("seed", range(2))
def test_no_acknowledged_commit_is_lost(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "x.lrscope"
    process = start(ENDLESS, path)
    assert process.stdout is not None
    said = [process.stdout.readline()]
    time.sleep(random.Random(seed).uniform(0, 0.4))
    said += kill(process)
    acknowledged = int(said[-1])
    study = StudyFile(path)
    loss, trajectory = study.scalars("loss"), study.trajectories()
    last = int(str(loss["step"].max()))
    assert last >= acknowledged
    assert last <= acknowledged + 10  # one commit may have been made and not acknowledged
    assert last % 10 == 9  # and none is there by half
    assert loss.height == 6 * (last + 1)
    assert trajectory.height == 18 * (last + 1)
    assert (loss["value"] == loss["step"] + loss["lane"] / 1000).all()
    assert (trajectory["value"] == trajectory["step"] // 10 * 10).all()
    assert study.lanes()["steps"].to_list() == [last + 1] * 6
    assert study.commits == (last + 1) // 10
    assert study.state == "running"  # as far as anybody can know, for half a minute
    study.close()
    assert integrity(path) == "ok"


@pytest.mark.parametrize("seed", range(2))
def test_there_is_a_whole_study_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Also while one is made, closed, or replaced by the next."""
    path = tmp_path / "x.lrscope"
    with recorder(path):
        pass
    process = start(AGAIN_AND_AGAIN, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0, 0.1))
    kill(process)
    study = StudyFile(path)
    assert study.scalars("loss").height in (0, 72)
    assert study.state in ("running", "finished")
    assert study.state == "running" or study.commits == 1
    study.close()
    assert integrity(path) == "ok"
    with recorder(path, overwrite=True) as writer:
        writer.note("how", "again")
    assert StudyFile(path).note("how") == "again"


def test_others_read_on_while_it_is_written_and_after_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    process = start(ENDLESS, path)
    assert process.stdout is not None
    process.stdout.readline()
    studies = [StudyFile(path) for _ in range(3)]
    seen = []
    while len(seen) < 10 or seen[-1] == seen[0]:
        seen.append([study.scalars("loss").height for study in studies])
        assert seen[-1] == sorted(seen[-1])
        assert all(height % 60 == 0 for height in seen[-1])
    acknowledged = int(kill(process)[-1])
    assert [study.scalars("loss").height >= 6 * (acknowledged + 1) for study in studies] == [True] * 3


def test_an_interrupted_process_keeps_all_it_recorded(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    process = start(ENDLESS, path)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert StudyFile(path).state == "interrupted"
    assert os.listdir(tmp_path) == ["x.lrscope"]
