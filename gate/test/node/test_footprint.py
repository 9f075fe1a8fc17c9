"""What a gate needs to run: the robot's own computer has ROS from apt, and no torch."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from pathlib import Path

before = set(sys.modules)
from vjepa_gate.arm_gate import ArmGate

status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
count = len(sys.modules) - len(before)

import rclpy

rclpy.init()
gate = ArmGate()
gate.trigger_configure()
gate.trigger_activate()
active = gate.active
packages = {name.partition(".")[0] for name in set(sys.modules) - before}
gate.trigger_shutdown()
gate.destroy_node()
rclpy.shutdown()
print(json.dumps({
    "active": active,
    "packages": sorted(packages - set(sys.stdlib_module_names)),
    "modules at import": count,
    "own memory at import (kB)": int(status["RssAnon"].split()[0]),
}))
"""
# rclpy's own, and interfaces; like numpy and yaml they come from apt, all but ours.
ROS = {
    *("ament_index_python", "rclpy", "rpyutils"),
    *("rosidl_generator_py", "rosidl_parser", "rosidl_pycommon", "em", "lark", "regex"),
    *("action_msgs", "builtin_interfaces", "control_msgs", "diagnostic_msgs", "geometry_msgs"),
    *("lifecycle_msgs", "rcl_interfaces", "rosgraph_msgs", "sensor_msgs", "service_msgs"),
    *("std_msgs", "std_srvs", "type_description_interfaces", "unique_identifier_msgs"),
    "tf2_msgs",
    "vjepa_msgs",
}


@pytest.fixture(scope="module")
def footprint():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_active_gate_has_imported_numpy_yaml_and_ros_alone(footprint):
    assert footprint["active"]
    foreign = set(footprint["packages"]) - ROS - {"vjepa_gate", "numpy", "yaml"}
    compiled = {name for name in foreign if name.startswith("_") or name == "cython_runtime"}
    assert foreign == compiled


def test_importing_it_is_cheap(footprint):
    """Measured: 28 MB and 430 modules. Of the time that it takes, these are most.

    As much again is of files, which the kernel shares and reads ahead as it likes: 56 MB in all
    were seen on one machine and 65 on another.
    """
    assert footprint["own memory at import (kB)"] < 36_000
    assert footprint["modules at import"] < 500
