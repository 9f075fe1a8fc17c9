"""How messages travel: what loses none, what is only good when new."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vjepa_gate.robots import Topic

DELTAS = QoSProfile(depth=10)  # actions for the arm gate
SIGNALS = QoSProfile(depth=10)  # small things: plans, surprise, the deadman, diagnostics

# What is told once, to who comes later, too: the robot's description, fixed transforms.
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def of_topic(topic: Topic) -> QoSProfile:
    """As the robot's YAML says it."""
    reliability = ReliabilityPolicy[topic.reliability.upper()]
    return QoSProfile(depth=topic.depth, reliability=reliability)
