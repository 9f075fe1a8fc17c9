"""How messages travel: what loses none, what is only good when new."""

from rclpy.qos import QoSProfile, ReliabilityPolicy

from vjepa_gate.robots import Topic

DELTAS = QoSProfile(depth=10)  # actions for the arm gate
SIGNALS = QoSProfile(depth=10)  # small things: plans, surprise, the deadman, diagnostics


def of_topic(topic: Topic) -> QoSProfile:
    """As the robot's YAML says it."""
    reliability = ReliabilityPolicy[topic.reliability.upper()]
    return QoSProfile(depth=topic.depth, reliability=reliability)
