"""Quaternions of plain floats against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vjepa_gate.rotations import between, from_vector, inverse, multiply, to_vector, z_axis

vectors = st.tuples(*[st.floats(-3.5, 3.5)] * 3).map(np.array)


def alike(quaternion, rotation):
    """q and -q are the same rotation."""
    expected = rotation.as_quat()
    assert abs(np.dot(quaternion, expected)) == pytest.approx(1, abs=1e-12)


@given(vectors, vectors)
def test_they_turn_as_scipys_do(one, other):
    first, second = Rotation.from_rotvec(one), Rotation.from_rotvec(other)
    alike(from_vector(one), first)
    product = multiply(from_vector(other), from_vector(one))
    alike(product, second * first)
    alike(inverse(product), (second * first).inv())
    assert z_axis(product) == pytest.approx((second * first).apply((0, 0, 1)), abs=1e-9)
    way = between(from_vector(one), from_vector(other))
    assert np.linalg.norm(way) <= math.pi + 1e-9
    alike(multiply(from_vector(way), from_vector(one)), second)


@pytest.mark.parametrize("angle", [0.0, 1e-13, 1e-9, 1.0, math.pi - 1e-9])
def test_there_and_back(angle):
    vector = np.array((0.6, 0.0, -0.8)) * angle
    np.testing.assert_allclose(to_vector(from_vector(vector)), vector, atol=1e-12)
