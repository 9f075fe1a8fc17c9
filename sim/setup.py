from glob import glob

from setuptools import find_packages, setup
from setuptools.command.develop import develop

NAME = "vjepa_sim"


class Develop(develop):
    """`colcon build --symlink-install`, with the interpreter line that setup.cfg asks for."""

    def write_script(self, name, contents, *arguments):
        _, _, body = contents.partition("\n")
        super().write_script(name, f"#!/usr/bin/env python3\n{body}", *arguments)


setup(
    name=NAME,
    version="0.2.0",
    description="A PyBullet Franka that looks like the hardware to ROS",
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["assets/**/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/config", glob("config/*")),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
    ],
    python_requires=">=3.11",
    install_requires=["numpy", "opencv-python-headless<5", "pybullet"],
    extras_require={"test": ["pytest", "pytest-timeout"]},
    entry_points={
        "console_scripts": [
            "vjepa-sim = vjepa_sim.__main__:main",
            "vjepa_sim_robot = vjepa_sim.node:main",
        ]
    },
    cmdclass={"develop": Develop},
    zip_safe=False,
)
