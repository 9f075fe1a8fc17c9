"""No hostile action, in whatever order, breaks a limit."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_gate.admission import Refused
from vjepa_gate.conventions import ACTION_NAMES

PERIOD = 0.01


hostile = st.one_of(
    st.floats(-0.2, 0.2),
    st.floats(-4, 4),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e-320, 0.0]),
)
attacks = st.lists(
    st.tuples(
        st.tuples(*[hostile] * 7),
        st.sampled_from([0.0, 0.3, 1.0, math.nan, -1.0, 1e9]),  # duration
        st.sampled_from([0.0, 0.05, 0.3, 1.9, 60.0, -5.0]),  # age of the image
        st.sampled_from(["base", "base", "base", "", "world"]),
        st.integers(0, 40),  # ticks until the next
        st.sampled_from(["pose", "camera", "", "", ""]),  # fails, or is back
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(attacks=attacks)
def test_no_hostile_action_breaks_a_limit(robot, make_rig, judge, attacks):
    rig = make_rig()
    streams = [rig.targets]
    for numbers, duration, age, frame, ticks, failing in attacks:
        rig.alive ^= {failing} if failing else set()
        try:
            position = rig.send(
                **dict(zip(ACTION_NAMES, numbers, strict=True)),
                duration=duration,
                age=age,
                frame=frame,
            )
        except Refused:
            position = None
        assert position is None or 0 <= position <= robot.gripper.max_width / 2
        before = len(rig.targets)
        rig.pass_time(ticks * PERIOD)
        gap = before and len(rig.targets) > before
        if gap and rig.targets[before].stamp - rig.targets[before - 1].stamp > 0.05:
            streams.append(rig.targets[before:])  # it stopped, and started again at the arm
            streams[-2] = streams[-2][: -len(streams[-1])]
            rig.targets = streams[-1]
    for targets in streams:
        judge(targets)
