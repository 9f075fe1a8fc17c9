"""What a planner asks of the models: encode pictures, imagine where actions lead, score it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from vjepa_ros.conventions import apply_action, check_action, check_state
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.packed import packed
from vjepa_ros.model.predictor import EXTRINSICS_SIZE, Past, Predictor, PredictorConfig
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.objectives import Objective

# Bytes for the candidates imagined at once. A GPU wants many; a CPU wants them in its cache.
BUDGETS = {"cuda": 3 << 30, "cpu": 64 << 20}
# A CPU imagines this many at once, a GPU multiples of it. The kernel of a product depends on how
# many rows it has: of always as many, energies do not depend on what else is scored, to the bit.
GRAIN = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    """What the camera should see."""

    latents: Tensor  # [L, D], layer-normalised
    name: str = ""  # that whoever keeps the latents knows them by


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """The T frames that a plan starts from; the last one is now."""

    latents: Tensor  # [T, L, D], layer-normalised
    states: Tensor  # [T, 7]
    actions: Tensor = field(default_factory=lambda: torch.empty(0, 7))  # [T - 1, 7] between them
    extrinsics: Tensor | None = None  # [6] the camera's pose, for a predictor that wants it
    name: str = ""  # of the last frame, which whoever keeps its latents knows them by


@dataclass(frozen=True)
class _Now:
    """A checked context on the device: the present frame, and the past's keys and values."""

    latents: Tensor  # [1, 1, L, D]
    states: Tensor  # [1, 1, 7]
    extrinsics: Tensor | None  # [1, 1, 6]
    past: Past
    before: list["_Frame"]  # the past's frames, oldest first


_Frame = tuple[Tensor, Tensor, Tensor]  # latents [n, 1, L, D], action [n, 1, 7], state [n, 1, 7]


class WorldModel:
    """An encoder and a predictor as a planner uses them.

    dtype is that of the weights, by default bf16 where the hardware multiplies it faster;
    a model in another dtype is copied. Latents, states and energies are float32 always.
    memory_budget says how many bytes the candidates imagined at once may take, beside the
    weights. trained_horizon is that of the model's configuration: at later times the predictor
    was never trained, and a plan that reaches them is refused. compile is for GPUs (on CPUs it
    was measured not to pay).

    Rollouts and energies are differentiable in the actions. A planner that needs no gradient
    calls them under torch.no_grad(): the budget counts on it.
    """

    def __init__(
        self,
        encoder: Encoder | None,
        predictor: Predictor,
        preprocessor: Preprocessor | None = None,
        *,
        dtype: torch.dtype | None = None,
        memory_budget: int | None = None,
        trained_horizon: int | None = None,
        compile: bool = False,
    ) -> None:
        self.device = predictor.predictor_embed.weight.device
        self.dtype = dtype or fast_dtype(self.device)
        self.config: PredictorConfig = predictor.config
        self.memory_budget = memory_budget or BUDGETS.get(self.device.type, BUDGETS["cpu"])
        self.reach = min(trained_horizon or self.config.max_frames, self.config.max_frames)
        self.preprocessor = preprocessor
        self.encoder = None if encoder is None else _in_dtype(encoder, self.dtype)
        predictor = _in_dtype(predictor, self.dtype)
        self._predict: Callable[..., Tensor] = predictor
        if compile:
            self._predict = torch.compile(predictor, dynamic=False)
        elif self.device.type == "cpu" and self.dtype == torch.bfloat16 == fast_dtype(self.device):
            self._predict = packed(predictor)

    @torch.no_grad()
    def encode(self, rgb: Tensor) -> Tensor:
        """Latents [B, L, D] of pictures, uint8 [B, H, W, 3]."""
        if self.encoder is None or self.preprocessor is None:
            raise ValueError("encode: this world model was given no encoder or no preprocessor")
        return self.encoder.encode(self.preprocessor(rgb.to(self.device)))

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """The latents [N, H, L, D] that candidate actions [N, H, 7] lead to."""
        now = self._remember(context)
        rollouts = [
            torch.stack(list(self._imagine(now, chunk)), 1) for chunk in self._chunks(now, actions)
        ]
        return torch.cat(rollouts)

    def energies(
        self, context: Context, actions: Tensor, goal: Goal, objective: Objective
    ) -> Tensor:
        """The energies [N] of candidate actions [N, H, 7] towards a goal."""
        return self.cost(context, goal, objective)(actions)

    def cost(
        self, context: Context, goal: Goal, objective: Objective
    ) -> Callable[[Tensor], Tensor]:
        """The energies as a function of the actions, as a solver takes it.

        The context is checked, and its keys and values are computed, once for all calls.
        """
        now = self._remember(context)
        shape = (self.config.patches, self.config.latent_width)
        wanted = self._checked("goal", goal.latents, shape)

        def energies(actions: Tensor) -> Tensor:
            chunks = self._chunks(now, actions)
            found = torch.cat([self._energies(now, chunk, wanted, objective) for chunk in chunks])
            return found.to(actions.device)

        return energies

    # --- a chunk of candidates -----------------------------------------------------------

    def _energies(self, now: _Now, actions: Tensor, goal: Tensor, objective: Objective) -> Tensor:
        weights = objective.step_weights(actions.shape[1])
        energies = torch.zeros(len(actions), device=self.device)
        for weight, latents in zip(weights, self._imagine(now, actions), strict=True):
            if weight > 0:
                energies = energies + weight * objective.distance(latents, goal)
        return energies

    def _imagine(self, now: _Now, actions: Tensor) -> Iterator[Tensor]:
        """The latents [n, L, D] after each of the actions [n, H, 7]."""
        latents, past, window = now.latents, now.past.branch(), self.config.window
        states = now.states.expand(len(actions), -1, -1)
        seen = list(now.before)
        extrinsics = None
        if now.extrinsics is not None:
            extrinsics = now.extrinsics.expand(len(actions), -1, -1)
        for step, action in enumerate(actions.split(1, dim=1), start=1):
            if window:  # else nobody looks at them again, and they would only take memory
                seen = [*seen, (latents, action, states)][-window:]
            if window and step + now.past.frames > window:
                latents = self._predict_within(seen, extrinsics)
            else:
                if step == actions.shape[1]:
                    past = past.branch(frozen=True)  # nothing follows the last frame
                latents = self._predict(latents, action, states, extrinsics, past)
            yield latents[:, 0]
            if step < actions.shape[1]:
                states = apply_action(states, action)

    def _predict_within(self, seen: list[_Frame], extrinsics: Tensor | None) -> Tensor:
        """The latents [n, 1, L, D] after frames that are seen as if none had been before them."""
        count = len(seen[-1][1])
        latents, actions, states = (
            torch.cat([part.expand(count, *part.shape[1:]) for part in parts], 1)
            for parts in zip(*seen, strict=True)
        )
        if extrinsics is not None:
            extrinsics = extrinsics.expand(-1, len(seen), -1)
        return self._predict(latents, actions, states, extrinsics)[:, -1:]

    def _chunks(self, now: _Now, actions: Tensor) -> tuple[Tensor, ...]:
        """The candidates [N, H, 7], checked, in parts that fit the memory budget, about equal."""
        if actions.ndim != 3 or 0 in actions.shape:
            raise ValueError(
                f"actions has shape {list(actions.shape)}, expected candidates [N, H, 7]"
            )
        check_action(actions)
        context, horizon = now.past.frames + 1, actions.shape[1]
        if context + horizon - 1 > self.reach:
            raise ValueError(
                f"actions has a horizon of {horizon}, but after {context} frames of context "
                f"the predictor was trained for {self.reach + 1 - context}"
            )
        at_once = self.candidates_at_once(context, horizon)
        if self.device.type == "cpu":
            at_once = min(at_once, GRAIN)
        size = _divided_up(len(actions), _divided_up(len(actions), at_once))
        if at_once >= GRAIN:
            size = _divided_up(size, GRAIN) * GRAIN
        return actions.to(self.device, torch.float32).split(size)

    def candidates_at_once(self, context: int, horizon: int) -> int:
        """How many candidates fit the memory budget: whole grains, or less than one."""
        fitting = max(1, self.memory_budget // self._candidate_bytes(context, horizon))
        return fitting if fitting < GRAIN else fitting // GRAIN * GRAIN

    def _candidate_bytes(self, context: int, horizon: int) -> int:
        """What one candidate takes at the peak of the last step, which sees the most frames."""
        config, number = self.config, self.dtype.itemsize
        tokens, frames = config.patches + config.controls, context + horizon - 1
        at_once = 1
        if config.window and frames > config.window:
            frames = at_once = config.window
        tokens, latents = tokens * at_once, config.patches * at_once
        token, latent = tokens * config.width * number, latents * config.latent_width
        stream = tokens * config.width * 4  # float32 between blocks
        kept = 2 * config.depth * (frames - 1 if horizon > 1 else 0) * token
        attention = (8 + 2 * frames) * token
        if self.device.type == "cpu" and self.dtype == torch.bfloat16:
            attention += 2 * config.heads * tokens**2 * frames * number  # scores, and their softmax
        mlp = round(2 + 2 * config.mlp_ratio) * token
        in_a_block = stream + max(attention, mlp) + 4 * latent  # the latent before the step
        at_the_end = 2 * stream + (number + 16) * latent
        return kept + max(in_a_block, at_the_end)

    # --- the boundary --------------------------------------------------------------------

    def _remember(self, context: Context) -> _Now:
        frames, latent = len(context.states), (self.config.patches, self.config.latent_width)
        if frames == 0:
            raise ValueError("context.states is empty, expected at least the present one")
        latents = self._checked("context.latents", context.latents, (frames, *latent))
        states = self._checked("context.states", context.states, (frames, 7))
        actions = self._checked("context.actions", context.actions, (frames - 1, 7))
        check_state(states)
        check_action(actions)
        extrinsics = None
        if context.extrinsics is not None:
            extrinsics = self._checked("context.extrinsics", context.extrinsics, (EXTRINSICS_SIZE,))
            extrinsics = extrinsics.expand(1, 1, -1)
        if (extrinsics is not None) != self.config.extrinsics:
            wanted = "expected one" if self.config.extrinsics else "the predictor takes none"
            found = "none" if extrinsics is None else "a camera's pose"
            raise ValueError(f"context.extrinsics is {found}: {wanted}")

        if self.config.window and frames > self.config.window:
            frames = self.config.window
            latents, states = latents[-frames:], states[-frames:]
            actions = actions[len(actions) - frames + 1 :]
        past = Past(self.config.depth)
        if frames > 1:
            poses = None if extrinsics is None else extrinsics.expand(1, frames - 1, -1)
            with torch.no_grad():
                self._predict(latents[None, :-1], actions[None], states[None, :-1], poses, past)
        before = [
            (latents[None, t : t + 1], actions[None, t : t + 1], states[None, t : t + 1])
            for t in range(frames - 1)
        ]
        return _Now(latents[None, -1:], states[None, -1:], extrinsics, past, before)

    def _checked(self, name: str, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """In float32 on the device, or ValueError."""
        if values.shape != shape or not values.is_floating_point():
            raise ValueError(
                f"{name} is {values.dtype} {list(values.shape)}, "
                f"expected floating point numbers {list(shape)}"
            )
        if not values.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite numbers")
        return values.to(self.device, torch.float32)


def _divided_up(count: int, size: int) -> int:
    return -(-count // size)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the device multiplies it faster than float32."""
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features = torch.cpu.get_capabilities()
        has_bf16 = features.get("avx512_bf16", False) or features.get("amx_bf16", False)
    return torch.bfloat16 if has_bf16 else torch.float32


_Module = TypeVar("_Module", bound=nn.Module)


def _in_dtype(module: _Module, dtype: torch.dtype) -> _Module:
    if all(parameter.dtype == dtype for parameter in module.parameters()):
        return module
    return copy.deepcopy(module).to(dtype)


def check_finite(context: Context) -> None:
    """Raise ValueError where what is seen now is no number."""
    if not context.latents[-1:].isfinite().all():
        raise ValueError("context.latents holds NaN or infinite numbers in its last frame")


def check_goals(goals: Sequence[Goal]) -> None:
    """Raise ValueError unless there are goals, of one shape and of numbers."""
    if not goals:
        raise ValueError("goals is empty, expected at least one")
    for number, goal in enumerate(goals, 1):
        name, shape = f"goal {number} of {len(goals)}", goal.latents.shape
        if len(shape) != 2 or not goal.latents.numel() or shape != goals[0].latents.shape:
            raise ValueError(
                f"{name} has latents of shape {list(shape)}, expected [L, D], the same for all"
            )
        if not goal.latents.is_floating_point() or not goal.latents.isfinite().all():
            raise ValueError(f"{name}: its latents hold NaN, infinite numbers or integers")
