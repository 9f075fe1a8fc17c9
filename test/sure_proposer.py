"""A proposer that nobody has trained, and that is sure of itself."""

from vjepa_ros.planning.subgoals.proposer import Proposer, ProposerConfig


def sure_proposer(width: int, tokens: int, phase: int = 0, moves: int = 2) -> Proposer:
    """Whatever it sees, so many moves of the fingers are the way, and this key frame is next."""
    net = Proposer(ProposerConfig(width=width, tokens=tokens)).eval()
    slots = net.config.slots
    net.straight.bias.data[slots + phase] += 100
    net.straight.bias.data[2 * slots + 1 + moves] += 100
    return net
