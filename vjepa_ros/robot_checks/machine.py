"""What of this machine matters to a robot."""

from pathlib import Path

from vjepa_ros.findings import Note, Problem


def network(links: Path = Path("/sys/class/net")) -> str:
    """Tell the network interfaces that carry ROS' messages."""
    found = []
    for link in sorted(links.iterdir()):
        if (link / "operstate").read_text().strip() in ("up", "unknown"):
            found.append(link.name)
            if (link / "wireless").is_dir():
                raise Problem(f"{link.name} is wireless: connect robot and planner by cable")
    return f"interfaces: {', '.join(found)}"


def kernel(flag: Path = Path("/sys/kernel/realtime")) -> str:
    """Tell whether this machine's kernel is a real-time one."""
    if flag.is_file() and flag.read_text().strip() == "1":
        return "real-time"
    raise Note("not a real-time one: right for planner and GPU, not where franka_ros2 runs")
