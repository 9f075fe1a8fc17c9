"""How the suite's own messages travel; vjepa_gate.ros.qos has those that the arm gate shares."""

from rclpy.qos import DurabilityPolicy, QoSProfile, QoSReliabilityPolicy

LATENTS = QoSProfile(depth=1)
GOALS_KEPT = 64
GOALS = QoSProfile(depth=GOALS_KEPT, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRANSFORMS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # of /tf_static
PICTURES = QoSProfile(depth=1)  # and lines: for eyes, which want the newest


def recorded(reliability: QoSReliabilityPolicy) -> QoSProfile:
    """Of a subscription that may wait while the disk is busy."""
    return QoSProfile(depth=100, reliability=reliability)
