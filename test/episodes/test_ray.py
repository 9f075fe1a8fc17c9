"""Fleets of episodes over a Ray cluster of two nodes, of which one is killed."""

import operator
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.commands.episodes import _summarise
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.npz import read_npz
from vjepa_ros.episodes.workers import Ray, fleet, run_all

ray = pytest.importorskip("ray", reason="pip install 'vjepa_ros[ray]'")
collection = pytest.importorskip("vjepa_ros.episodes.collection", reason="vjepa_sim is not here")

SMALL = collection.CollectionConfig(seed=5, steps=6, size=32)
PATIENCE = 120  # seconds


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    about = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=about | {"include_dashboard": False})
    cluster.add_node(**about)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_a_node_that_is_killed_costs_no_episode(cluster, tmp_path):
    """The second node dies once there are two episodes: the first one makes what is left."""

    def kill():
        end = time.monotonic() + PATIENCE
        while len(list((tmp_path / "ray").glob("*.npz"))) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    made = collection.collect(SMALL, 7, tmp_path / "ray", Ray(cluster.address))
    killer.join()
    assert len(cluster.list_all_nodes()) == 1
    alone = collection.collect(SMALL, 7, tmp_path / "one", workers=1)
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in alone]

    # What is there is not made again, and what is broken is a result like any other.
    made[3].unlink()
    made[5].write_bytes(b"broken")
    assert collection.collect(SMALL, 7, tmp_path / "ray", Ray(cluster.address)) == made
    assert made[3].read_bytes() == alone[3].read_bytes()
    summarise = partial(_summarise, {})
    results = dict(run_all(summarise, made, workers=Ray(cluster.address)))
    assert isinstance(results.pop(made[5]), EpisodeError)
    assert len(results) == 6
    for path, summary in results.items():
        np.testing.assert_array_equal(summary.states, summarise(path).states)

    with pytest.raises(ZeroDivisionError):
        list(run_all(partial(operator.truediv, 1), [0], workers=Ray(cluster.address)))


def test_what_cannot_work_is_one_line(monkeypatch):
    assert fleet(3, None) == 3
    assert fleet(None, "auto") == Ray("auto")
    with pytest.raises(UserError, match="--workers and --ray"):
        fleet(3, "auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="pip install 'vjepa_ros\\[ray\\]'"):
        list(run_all(read_npz, [Path("a")], workers=Ray("auto")))
