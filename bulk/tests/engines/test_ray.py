"""Ray Data with the stage in its actors: killed workers, nodes and drivers pay only what was under way again."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from .conftest import RayCluster
from .trial import CONCURRENCY, WORKERS, Trial

pytestmark = [pytest.mark.engines, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("CHATPORT_KILLS", "6"))
ROWS = 5000 if KILLS > 10 else 1500


def test_killed_workers_and_drivers_pay_only_what_was_under_way_again(
    ray_cluster: RayCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, seed = 0, 0
    while killed < KILLS:
        with capsys.disabled(), Trial(tmp_path / str(seed), ROWS, seed) as trial:
            found = trial.kill_again_and_again(
                ray_cluster.driver, lambda _: ray_cluster.worker_pids(), KILLS - killed, partial(print, flush=True)
            )
            print(found, flush=True)
        killed, seed = killed + found["killed"], seed + 1
    assert killed == KILLS


def test_a_node_that_is_lost_takes_nothing_with_it(ray_cluster: RayCluster, tmp_path: Path) -> None:
    ray_cluster.tell("add")
    with Trial(tmp_path, 600) as trial:
        with ray_cluster.driver({**trial.told, "cpus": 0.9}) as driver:
            assert trial._goes_on(driver)
            ray_cluster.tell("kill")
            said, _ = driver.communicate(timeout=600)
        assert driver.returncode == 0, said
        assert trial.check(killed=1)["shown_as_lost"] <= WORKERS * CONCURRENCY
