"""The sender of a goal: what it tells of its way, and that it sees it through."""

import time
from pathlib import Path
from types import SimpleNamespace

from rclpy.action import ActionServer, GoalResponse
from vjepa_msgs.action import ReachGoal

from vjepa_gate.ros.spinning import spinning_node
from vjepa_ros.goals import Goals
from vjepa_ros.nodes import reach_client
from vjepa_ros.nodes.reach_client import ProgressLine


def feedback(**changes):
    values = {"step": 3, "subgoal": 1, "energy": 0.25, "distance_moved": 0.1, "message": ""}
    return SimpleNamespace(**values | changes)


def test_one_line_for_what_is_new(capsys):
    progress = ProgressLine(goals=4)
    progress.show(feedback(message="sub-goal 2 of 4, step 3"))
    progress.show(feedback())
    progress.note(SimpleNamespace(seconds=0.314))
    progress.show(feedback(step=4))
    assert capsys.readouterr().out.splitlines() == [
        "step 3  sub-goal 2/4  energy 0.2500  moved 0.10 m",
        "step 4  sub-goal 2/4  energy 0.2500  moved 0.10 m  0.31 s a plan",
    ]


def test_a_stall_is_told_and_remembered_until_it_is_over(capsys):
    progress = ProgressLine(goals=1)
    hint = "energy has stalled: sub-goals would help"
    progress.show(feedback(message=hint))
    assert f"({hint})" in capsys.readouterr().out
    assert progress.remark == hint
    progress.show(feedback(message="sub-goal 2 of 4, step 4"))
    assert progress.remark == ""


def test_a_terminal_has_one_line_no_longer_than_it_is_wide(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    progress = ProgressLine(goals=1)
    progress.show(feedback())
    progress.show(feedback(step=4))
    progress.end("reached")
    lines = capsys.readouterr().out.split("\r\x1b[K")
    assert lines[1] == "step 3  sub-goal 2/1  energy "
    assert lines[2] == "step 4  sub-goal 2/1  energy \nreached\n"


def test_a_goal_whose_answer_does_not_come_is_sent_again(capfd, monkeypatch):
    monkeypatch.setattr(reach_client, "_PATIENCE", 0.3)
    asked = []

    def answer(request):
        asked.append(request.files)
        if len(asked) == 1:
            time.sleep(1.0)
        return GoalResponse.ACCEPT

    def execute(handle):
        handle.succeed()
        return ReachGoal.Result(outcome=ReachGoal.Result.REACHED, message="reached")

    goals = Goals(pictures=(Path("/goal.png"),), max_steps=1, energy=0.1)
    with spinning_node("planner") as planner, spinning_node("sender") as sender:
        server = ActionServer(planner, ReachGoal, "reach_goal", execute, goal_callback=answer)
        end = reach_client.reach(sender, goals, stopped=lambda: False)
        server.destroy()
    assert end.outcome == ReachGoal.Result.REACHED
    assert len(asked) > 1
    assert asked[-1] == ["/goal.png"]
    assert "no answer within 0.3 s: asking again" in capfd.readouterr().out
