"""`vjepa-ros policy`: train a small policy on recorded episodes, serve it in openpi's protocol."""

import argparse
import threading

from vjepa_gate.signals import signals_noted
from vjepa_ros.commands.banks import bank_of
from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings import read, shared
from vjepa_ros.commands.settings.training import ServePolicy, TrainPolicy
from vjepa_ros.extras import extra
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.bank import demonstrations
from vjepa_ros.policy.net import CloningConfig, clone, load_policy, save_policy


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    return (
        _train(read(TrainPolicy, args)) if args.verb == "train" else _serve(read(ServePolicy, args))
    )


def _train(settings: TrainPolicy) -> int:
    loaded = load_world_model(settings.weights)
    recorded = demonstrations(settings.data, loaded.config.step_period, **opening(settings))
    bank = bank_of(recorded, settings.out.with_suffix(".bank"), loaded, settings)
    config = CloningConfig(**shared(CloningConfig, settings))
    net, error = clone(bank, config)
    about = {"episodes": len(bank.lengths), "steps": config.steps, "error": error}
    save_policy(settings.out, net, loaded.identity, about)
    print(f"{settings.out}: off by {1000 * error:.1f} mm a step on the median of held-out episodes")
    return 0


def _serve(settings: ServePolicy) -> int:
    with extra("policy", "serving a policy"):
        from vjepa_ros.policy.server import PolicyInference, serving

    loaded = load_world_model(settings.weights)
    infer = PolicyInference(load_policy(settings.file, loaded.identity), loaded.world_model.encode)
    with signals_noted() as ended, serving(infer, settings.host, settings.port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.socket.getsockname()[:2]
        print(f"serving {settings.file} on ws://{host}:{port}; Ctrl-C ends it", flush=True)
        while not ended.wait(0.2):
            pass
        server.shutdown()
    return 0
