from glob import glob

from setuptools import find_packages, setup
from setuptools.command.develop import develop

NAME = "vjepa_ros"


class Develop(develop):
    """`colcon build --symlink-install`, with the interpreter line that setup.cfg asks for."""

    def write_script(self, name, contents, *arguments):
        _, _, body = contents.partition("\n")
        super().write_script(name, f"#!/usr/bin/env python3\n{body}", *arguments)


setup(
    name=NAME,
    version="0.2.0",
    description="V-JEPA 2 world-model planning for robot arms: ROS 2 nodes and a plain library",
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "templates/*", "weights/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", glob("config/*")),
    ],
    python_requires=">=3.11",
    install_requires=[
        "h5py",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "numpy",
        "opencv-python-headless<5",
        "pyyaml",
        "rosbags",
        "safetensors",
        "scipy",
        "torch",
        "tqdm",
    ],
    # colcon runs `colcon test` with pytest only where a package says so.
    extras_require={
        "lerobot": ["pyarrow>=20", "av>=14"],  # vjepa_ros/extras.py names them, too
        "rerun": ["rerun-sdk>=0.30"],
        "policy": ["msgpack>=1.1", "websockets>=14"],
        "ray": ["ray>=2.40"],
        "test": ["hypothesis", "psutil", "pytest", "pytest-timeout"],
    },
    entry_points={
        "console_scripts": [
            "vjepa-ros = vjepa_ros.cli:main",
            "vjepa_composed = vjepa_ros.nodes.composed:main",
            "vjepa_encoder = vjepa_ros.nodes.encoder:main",
            "vjepa_planner = vjepa_ros.nodes.planner:main",
            "vjepa_predictor = vjepa_ros.nodes.predictor:main",
            "vjepa_recorder = vjepa_ros.nodes.recorder:main",
            "vjepa_reach = vjepa_ros.nodes.reach_client:main",
        ]
    },
    cmdclass={"develop": Develop},
    zip_safe=False,
)
