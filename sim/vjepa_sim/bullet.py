"""PyBullet's functions bound to one physics world of their own."""

import functools
from typing import Any

import pybullet


class Bullet:
    """A world without a window; attributes are pybullet's functions with the client filled in."""

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)

    def __getattr__(self, name: str) -> Any:
        function = functools.partial(getattr(pybullet, name), physicsClientId=self._client)
        setattr(self, name, function)  # found without this detour from now on
        return function

    def close(self) -> None:
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()
