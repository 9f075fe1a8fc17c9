"""A policy over its real protocol: what it proposes is converted, and what goes wrong is said."""

import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros.policy import proposals, wire
from vjepa_ros.policy.opening import Seen, map_of, proposer_of
from vjepa_ros.policy.server import serving
from vjepa_ros.policy.settings import PolicyMap, PolicySettings

OPENPI_PYTHON = os.environ.get("VJEPA_OPENPI_PYTHON")
STATE = torch.tensor([0.5, 0.1, 0.3, 3.1, 0.0, 0.2, 0.25])
SEEN = Seen(rgb=np.full((90, 160, 3), 200, np.uint8), state=STATE)
CHUNK = np.tile(np.array([0.01, 0, -0.02, 0, 0, 0, 0.1], np.float32), (4, 1))


@contextmanager
def policy(infer, **settings):
    """A proposer, and the server that it asks."""
    with serving(infer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        told = {"policy": url, "policy_timeout": 5.0, "prompt": "lift"} | settings
        proposer = proposer_of(PolicySettings(**told), 0.25)
        yield proposer
        proposer.close()
        server.shutdown()


# --- the wire ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((2, 2, 3), np.uint8), np.array([True])],
)
def test_arrays_come_back(value):
    back = wire.unpack(wire.pack({"a": [value], "b": "text"}))
    np.testing.assert_array_equal(back["a"][0], value)
    assert back["a"][0].dtype == value.dtype
    assert back["b"] == "text"
    assert wire.unpack(wire.pack(np.float32(1.5))) == 1.5


def test_an_array_is_written_as_openpis_client_writes_it():
    """Its keys are bytes: data, type, shape and a mark."""
    plain = msgpack.unpackb(wire.pack(np.float32([1, 2])), strict_map_key=False)
    assert plain == {
        b"__ndarray__": True,
        b"data": np.float32([1, 2]).tobytes(),
        b"dtype": "<f4",
        b"shape": [2],
    }


def array(data=b"\0" * 4, dtype="<f4", shape=(1,)):
    fields = {b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": shape}
    return msgpack.packb(fields)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        array(shape=(2,)),
        array(dtype="O"),
        array(dtype="|V4"),
        array(shape=(-1,)),
        array(dtype="what"),
        msgpack.packb({b"__ndarray__": True}),
        b"\x80\x04\x95cos\nsystem",
    ],
)
def test_what_is_no_such_message_is_a_value_error(data):
    with pytest.raises(ValueError, match="expected whole msgpack"):
        wire.unpack(data)


def test_objects_are_not_sent():
    with pytest.raises(ValueError, match="cannot send"):
        wire.pack({"a": np.array([object()])})


# --- questions and answers -----------------------------------------------------------------


def test_what_is_seen_goes_there_and_a_chunk_comes_back():
    asked = []

    def infer(question):
        asked.append(question)
        return {"actions": CHUNK}

    with policy(infer) as proposer:
        found = proposer(SEEN)
        proposer(SEEN)
    np.testing.assert_allclose(found[0], np.tile(CHUNK[0], (4, 1)), atol=1e-6)
    assert (proposer.trouble, proposer.answered, len(asked)) == ("", 2, 2)
    question = asked[0]
    assert question["prompt"] == "lift"
    assert question["observation/exterior_image_1_left"].shape == (224, 224, 3)
    np.testing.assert_allclose(question["observation/cartesian_position"], STATE[:6])
    np.testing.assert_allclose(question["observation/gripper_position"], [0.25])


def test_several_answers_to_one_look_are_as_many_candidates():
    with policy(lambda _: {"actions": CHUNK}, policy_samples=3) as proposer:
        assert proposer(SEEN).shape == (3, 4, 7)


def test_a_picture_keeps_its_proportions():
    square = proposals.fitted(np.full((90, 160, 3), 200, np.uint8), 224)
    assert square.shape == (224, 224, 3)
    assert (square[:48] == 0).all()
    assert (square[50:174] == 200).all()


@pytest.mark.parametrize(
    ("map_", "rows", "expected"),
    [
        (PolicyMap(rate=8.0), CHUNK, 2 * CHUNK[:2]),
        (PolicyMap(gripper_open=1.0, gripper_closed=0.0), CHUNK, CHUNK * [1, 1, 1, 1, 1, 1, -1]),
        (
            PolicyMap(actions="target", gripper_open=0.08, gripper_closed=0.0),
            [[0.52, 0.1, 0.3, 3.1, 0.0, 0.2, 0.04]],
            [[0.02, 0, 0, 0, 0, 0, 0.25]],
        ),
        (PolicyMap(rate=15.0), CHUNK[:2], [2 * CHUNK[0]]),  # shorter than one action
    ],
)
def test_a_map_says_what_rows_mean(map_, rows, expected):
    settings = PolicySettings(policy="ws://nobody")
    found = proposals.PolicyProposer(settings, map_, 0.25).actions(
        STATE, torch.as_tensor(np.array(rows), dtype=torch.float64)
    )
    wanted = np.array(expected)
    wanted[:, 6] = wanted[:, 6].clip(-0.25, 0.75)  # the fingers end at their stops
    cumulated = np.clip(0.25 + np.cumsum(np.array(expected)[:, 6]), 0, 1)
    wanted[:, 6] = np.diff(cumulated, prepend=0.25)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"policy is 'gpu:8000', expected ws://HOST:PORT"):
        PolicySettings(policy="gpu:8000")


def test_a_map_is_read_strictly(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text("actions: target\nrate: 15\n")
    settings = PolicySettings(policy="ws://nobody", policy_map=file)
    assert map_of(settings) == PolicyMap(actions="target", rate=15.0)
    file.write_text("acts: target\n")
    with pytest.raises(UserError, match=r"map\.yaml: acts is unknown, expected actions"):
        map_of(settings)


@pytest.mark.skipif(
    not OPENPI_PYTHON, reason="VJEPA_OPENPI_PYTHON names no Python that has openpi-client"
)
def test_openpis_own_client_is_answered(tmp_path):
    asked = []

    def infer(question):
        asked.append(question)
        return {"actions": CHUNK}

    peer = Path(__file__).parents[1] / "openpi_peer.py"
    with policy(infer) as proposer:
        url = proposer.settings.policy
        subprocess.run([OPENPI_PYTHON, peer, url, tmp_path / "seen.npz"], check=True, env={})
    seen = np.load(tmp_path / "seen.npz")
    np.testing.assert_array_equal(seen["actions"], np.stack([CHUNK, CHUNK]))
    assert asked[0]["prompt"] == "lift"
    assert (asked[0]["observation/exterior_image_1_left"] == 7).all()


# --- what goes wrong -----------------------------------------------------------------------


def late(_):
    time.sleep(0.5)
    return {"actions": CHUNK}


def fails(_):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("infer", "complaint"),
    [
        (late, r"no answer within 0\.2 s"),
        (fails, "it failed with RuntimeError: out of memory"),
        (lambda _: {"actions": CHUNK[:, :6]}, r"actions \[4, 6\], expected \[T, 7\]"),
        (lambda _: {"actions": CHUNK[:0]}, r"actions \[0, 7\]"),
        (lambda _: {"actions": CHUNK * np.nan}, "NaN"),
        (lambda _: {"actions": 1000 * CHUNK}, "expected metres, not millimetres"),
        (lambda _: {"actions": 1e300 * CHUNK.astype(float)}, "expected"),
        (lambda _: {"actions": CHUNK.astype(np.int64)}, "actions of int64"),
        (lambda _: {"action": CHUNK}, "without an array `actions`"),
        (lambda _: {"actions": [[0.0] * 7]}, "without an array `actions`"),
    ],
)
def test_an_answer_of_no_use_leaves_the_planner_alone(infer, complaint):
    quick = {"policy_timeout": 0.2} if infer is late else {}
    with policy(infer, **quick) as proposer:
        assert proposer(SEEN) is None
        assert proposer.answered == 0
        with pytest.raises(AssertionError, match=complaint):
            raise AssertionError(proposer.trouble)


def test_a_policy_that_comes_back_proposes_again(monkeypatch):
    monkeypatch.setattr(proposals, "_PAUSE", 0.0)
    answers = iter((CHUNK * np.nan, CHUNK))
    with policy(lambda _: {"actions": next(answers)}) as proposer:
        assert proposer(SEEN) is None
        assert proposer(SEEN) is not None
        assert proposer.trouble == ""


def test_nobody_there_and_somebody_silent(monkeypatch):
    monkeypatch.setattr(proposals, "_PAUSE", 0.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        settings = PolicySettings(policy=f"ws://127.0.0.1:{port}", policy_timeout=0.2)
        proposer = proposer_of(settings, 0.25)
        assert proposer(SEEN) is None
        assert "refused" in proposer.trouble
        silent.listen()
        assert proposer(SEEN) is None
        assert "no answer within 0.2 s" in proposer.trouble


def test_after_a_failure_it_is_left_alone_for_a_while():
    asked = []

    def infer(question):
        asked.append(question)
        return {}

    with policy(infer) as proposer:
        assert [proposer(SEEN) for _ in range(5)] == [None] * 5
    assert len(asked) == 1
