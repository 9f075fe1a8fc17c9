"""The `vjepa-ros` command: one subcommand a module of `vjepa_ros.commands`."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.settings import Parser
from vjepa_ros.commands.settings import COMMANDS as OPTIONS
from vjepa_ros.commands.settings import add_arguments

COMMANDS = {
    "doctor": "check this machine, or with --robot one that runs; each line ok or what to do",
    "episodes": "collect, inspect, convert and check recorded episodes: bags, DROID, npz",
    "weights": "say what a checkpoint holds, or convert one to a lean safetensors file",
    "train": "train a world model on episodes, fine-tune the published one, report how good it is",
    "run": "bring up the nodes, with the simulation or a real arm, without ros2 launch",
    "goal": "take a goal picture from the camera, or compare one with what it sees now",
    "demo": "the simulated arm picks and places to a goal: film, report and recording",
    "calibrate": "find how motions look turned to the model from where the camera stands",
    "evaluate": "count how often the simulated arm reaches its goal, closed loop",
    "memory": "build a memory of recorded episodes, where sub-goals to a picture are looked up",
    "policy": "train a small policy on recorded episodes, serve it in openpi's protocol",
    "replay": "score a model on recordings, hold it to a gate, compare two runs; no robot, no ROS",
    "landscape": "map the energies of actions around a recorded step, as a picture",
}

EPILOG = """\
`vjepa-ros COMMAND --help` tells more about each. New here? Run `vjepa-ros doctor` first.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; an error that the user can mend is one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return run(arguments)
    except UserError as error:
        print(" ".join(("vjepa-ros", *arguments[:1])), f": {error}", sep="", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left to flush
        return 141


def run(arguments: Sequence[str]) -> int:
    """Run one subcommand; raises UserError."""
    parser = parser_of(arguments[0] if arguments else "")
    parsed = parser.parse_args(arguments)
    if parsed.version:
        from importlib import metadata  # which takes a third of the time of a help text

        print(f"vjepa-ros {metadata.version('vjepa_ros')}")
        return 0
    if parsed.command is None:
        parser.print_help()
        return 0
    return _module(parsed.command).run(parsed)


def parser_of(chosen: str) -> Parser:
    """All commands by name, with the options of the chosen one."""
    parser = Parser(
        prog="vjepa-ros",
        description="Plan a robot arm's motion to a goal image with the V-JEPA 2 world model.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == chosen:
            if name in OPTIONS:
                add_arguments(subparser, name)
            else:
                _module(name).add_arguments(subparser)
    return parser


def _module(command: str) -> Any:
    return importlib.import_module(f"vjepa_ros.commands.{command}")


if __name__ == "__main__":
    sys.exit(main())
