"""Pick and place from ONE goal picture, closed loop: rows of tasks, policies and conditions.

    python benchmarks/one_picture.py --task pick_place --object cube --policy world_model \\
        --weights WEIGHTS --subgoals FILE --episodes 20 --seed 5000

Policies: the world model's pursuit, servo (the same proposals, no world model), and the floors:
one that stays, a random one, the scripted expert.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.one_picture import DISTURBANCES, POLICIES, Pick, run_one
from vjepa_ros.evaluation.statistics import median_and_p95, wilson_interval
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.config import PLANNERS, choose_planner
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.bank import load_bank
from vjepa_ros.planning.subgoals.memory import Memory
from vjepa_ros.planning.subgoals.proposer import ProposerSource, load_proposer
from vjepa_ros.planning.subgoals.pursuit import PursuitConfig
from vjepa_ros.planning.subgoals.source import SubGoalSource
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import GRASPABLE, PLACES


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    loaded = load_world_model(arguments.weights)
    source: SubGoalSource | None = None
    if arguments.memory:
        source = Memory(bank=load_bank(arguments.memory))
    elif arguments.subgoals:
        net = load_proposer(arguments.subgoals, loaded.identity)
        source = ProposerSource(net=net, variants=arguments.variants)
    pick = Pick(
        task=arguments.task,
        object=arguments.object,
        place=arguments.place,
        condition=arguments.condition,
        disturbance=arguments.disturbance,
    )
    given = {} if arguments.samples is None else {"samples": arguments.samples}
    planner = choose_planner(arguments.planner, given)
    trials = []
    with Scene() as scene:
        for seed in range(arguments.seed, arguments.seed + arguments.episodes):
            trial = run_one(
                pick,
                arguments.policy,
                seed,
                scene,
                loaded=loaded,
                source=source,
                planner=planner,
                config=PursuitConfig(),
            )
            trials.append(trial)
            print(
                f"{seed} {'ok  ' if trial.success else 'FAIL'} {trial.steps:3} steps  "
                f"{trial.reason}; {trial.ended}; {trial.key_frames}",
                flush=True,
            )
    successes = sum(trial.success for trial in trials)
    low, high = wilson_interval(successes, len(trials))
    steps = median_and_p95([trial.steps for trial in trials if trial.success] or [0])
    seconds = median_and_p95([one for trial in trials for one in trial.seconds] or [0.0])
    print(
        f"{pick.task} {pick.object} {pick.place}, {pick.condition}, {pick.disturbance}; "
        f"{arguments.policy}: {successes} of {len(trials)} ({low:.0%} … {high:.0%}), "
        f"{steps['median']:.0f} steps, {seconds['median']:.3f} s a step"
    )
    if arguments.json:
        about = {"pick": asdict(pick), "policy": arguments.policy, "seed": arguments.seed}
        about |= {"successes": successes, "episodes": len(trials), "interval": [low, high]}
        about |= {"weights": loaded.identity, "steps": steps, "seconds_per_step": seconds}
        about["trials"] = [asdict(trial) for trial in trials]
        arguments.json.write_text(json.dumps(about, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=("grasp", "pick_place"), required=True)
    parser.add_argument("--object", choices=GRASPABLE, default="cube")
    parser.add_argument("--place", choices=PLACES, default="spot")
    parser.add_argument("--condition", choices=CONDITIONS, default="plain")
    parser.add_argument("--disturbance", choices=DISTURBANCES, default="none")
    parser.add_argument("--policy", choices=POLICIES, default="world_model")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--subgoals", type=Path, help="what `train subgoals` wrote")
    parser.add_argument("--memory", type=Path, help="what `memory build` wrote, in its place")
    parser.add_argument("--variants", type=int, default=0, help="proposals beside the net's own")
    parser.add_argument("--planner", choices=PLANNERS, default="tiny")
    parser.add_argument("--samples", type=int, help="candidates, where other than the planner's")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
