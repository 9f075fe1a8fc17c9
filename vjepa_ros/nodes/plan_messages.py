"""What the planner says: the action, the plan, its goals, and what RViz draws of it."""

import array
import math

import numpy as np
import torch
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from nav_msgs.msg import Path
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import ColorRGBA, Header
from torch import Tensor
from visualization_msgs.msg import Marker, MarkerArray
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_ros.conventions import POSITION, pose_from_state
from vjepa_ros.images import encode_png
from vjepa_ros.nodes.latents import Frame
from vjepa_ros.planning.summary import search_curve, states_along
from vjepa_ros.planning.task import Decision

GOAL_PICTURES = "goal_picture/compressed"  # topics
WAYS = "way/compressed"
_POINT_SIZE = 0.006  # metres


def delta_message(
    decision: Decision, frame: Frame, header: Header, sequence: int, duration: float
) -> EndEffectorDelta:
    """Tell the action that is carried out."""
    assert decision.solution is not None
    numbers = dict(zip(ACTION_NAMES, decision.solution.actions[0].tolist(), strict=True))
    return EndEffectorDelta(
        header=header,
        image_stamp=frame.header.stamp,
        sequence=sequence,
        duration=duration,
        energy=decision.solution.energy,
        **numbers,
    )


def plan_message(
    decision: Decision, frame: Frame, header: Header, state: Tensor, solver: str, seconds: float
) -> Plan:
    """Tell what was thought, and what of it is carried out."""
    solution = decision.solution
    assert solution is not None
    statistics, curve = solution.statistics, search_curve(solution)
    plan = Plan(
        header=header,
        image_stamp=frame.header.stamp,
        solver=solver,
        seed=solution.seed,
        seconds=seconds,
        weights=frame.weights,
        subgoal=decision.goal,
        energy_now=decision.energy,
        samples=statistics.energies.shape[1],
        iterations=statistics.energies.shape[0],
        horizon=len(solution.actions),
        dropped=solution.dropped,
        confidence=solution.confidence,
        energy_best=_floats(curve.best),
        energy_elites=_floats(curve.elites),
        energy_mean=_floats(curve.mean),
        elite_mean=_floats(statistics.elite_mean),
        elite_std=_floats(statistics.elite_std),
        actions=_floats(solution.actions),
        path=[_pose(state) for state in states_along(state, solution.actions.cpu())],
    )
    if statistics.samples is not None:
        samples = statistics.samples[-1].cpu()
        scored = ~samples.isnan().flatten(1).any(1)  # populations may shrink
        ends = states_along(state, samples[scored])[:, -1, POSITION]
        plan.end_points = [Point(x=x, y=y, z=z) for x, y, z in ends.double().tolist()]
        plan.end_point_energies = _floats(statistics.energies[-1].cpu()[scored])
    return plan


def path_message(plan: Plan) -> Path:
    """Tell where the plan leads."""
    poses = [PoseStamped(header=plan.header, pose=pose) for pose in plan.path]
    return Path(header=plan.header, poses=poses)


def marker_message(plan: Plan) -> MarkerArray:
    """Where the last samples would end, from green (the lowest energy) to red."""
    finite = [energy for energy in plan.end_point_energies if math.isfinite(energy)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    points = Marker(header=plan.header, ns="end_points", type=Marker.POINTS, action=Marker.ADD)
    points.scale.x = points.scale.y = _POINT_SIZE
    points.pose.orientation.w = 1.0
    points.points = plan.end_points
    for energy in plan.end_point_energies:
        share = (energy - low) / (high - low) if math.isfinite(energy) and high > low else 1.0
        points.colors.append(ColorRGBA(r=share, g=1 - share, b=0.1, a=0.8))
    return MarkerArray(markers=[points])


def goal_message(picture: NDArray[np.uint8], stamp: Time, name: str) -> CompressedImage:
    """name says which of the sub-goals it is."""
    header = header_at(stamp, name)
    return CompressedImage(header=header, format="png", data=array.array("B", encode_png(picture)))


def header_at(stamp: Time, frame_id: str) -> Header:
    """Make a header."""
    return Header(stamp=stamp, frame_id=frame_id)


def _pose(state: Tensor) -> Pose:
    position, quaternion, _ = pose_from_state(state.double())
    x, y, z = position.tolist()
    qx, qy, qz, qw = quaternion.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _floats(values: Tensor) -> array.array:
    return array.array("f", values.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
