"""A simulated Franka at a table, for PyBullet. It knows nothing of vjepa_ros."""

from vjepa_sim.errors import SimError
from vjepa_sim.scene import Observation, Scene, SceneConfig

__all__ = ["Observation", "Scene", "SceneConfig", "SimError"]
