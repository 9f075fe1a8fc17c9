from glob import glob

from setuptools import find_packages, setup
from setuptools.command.develop import develop

NAME = "vjepa_gate"


class Develop(develop):
    """`colcon build --symlink-install`, with the interpreter line that setup.cfg asks for."""

    def write_script(self, name, contents, *arguments):
        _, _, body = contents.partition("\n")
        super().write_script(name, f"#!/usr/bin/env python3\n{body}", *arguments)


setup(
    name=NAME,
    version="0.2.0",
    description="The last node before a robot arm: limits, a smooth stream of targets, watchdogs",
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/config", glob("config/*")),
    ],
    python_requires=">=3.11",
    install_requires=["numpy", "pyyaml"],
    extras_require={"test": ["hypothesis", "pytest", "pytest-timeout", "scipy"]},
    entry_points={"console_scripts": ["vjepa_arm_gate = vjepa_gate.arm_gate:main"]},
    cmdclass={"develop": Develop},
    zip_safe=False,
)
