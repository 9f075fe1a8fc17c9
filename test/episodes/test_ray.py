"""Fleets of episodes over a Ray cluster of two nodes, of which one is killed."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.commands.episodes import _summarise
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.library import find_episodes
from vjepa_ros.episodes.npz import read_npz
from vjepa_ros.episodes.workers import Ray, fleet, run_all

ray = pytest.importorskip("ray", reason="pip install 'vjepa_ros[ray]'")

BAGS = Path(__file__).parents[1] / "data" / "bags"
pytestmark = pytest.mark.timeout(600)  # Ray's processes are many, where others are busy


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
    """The second node dies once there are results: the first one does what is left."""
    bags = sorted(find_episodes(BAGS))
    paths = [tmp_path / f"{number}" for number in range(12)]
    for number, path in enumerate(paths):
        path.symlink_to(bags[number % len(bags)])
    paths[5].unlink()  # what is broken is a result like any other

    summarise, found = partial(_summarise, {}), {}
    for path, result in run_all(summarise, paths, workers=Ray(cluster.address)):
        found[path] = result
        if len(found) == 2:
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    assert len(cluster.list_all_nodes()) == 1
    assert isinstance(found.pop(paths[5]), EpisodeError)
    assert len(found) == 11
    alone = {bag: summarise(bag) for bag in bags}
    for path, summary in found.items():
        np.testing.assert_array_equal(summary.states, alone[path.resolve()].states)


def test_what_cannot_work_is_one_line(monkeypatch):
    assert fleet(3, None) == 3
    assert fleet(None, "auto") == Ray("auto")
    with pytest.raises(UserError, match="--workers and --ray"):
        fleet(3, "auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="pip install 'vjepa_ros\\[ray\\]'"):
        list(run_all(read_npz, [Path("a")], workers=Ray("auto")))
