"""Pictures that a LeRobot set keeps in its parquet files, as openpi's sets do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from vjepa_ros.episodes.files import reading
from vjepa_ros.images import decode_picture

_AT_ONCE = 8  # rows in memory


@dataclass(frozen=True, kw_only=True)
class Stills:
    """The pictures of one episode, each PNG or JPEG in its row."""

    path: Path
    feature: str
    episode: int
    size: tuple[int, int]  # height, width

    def decode(self, steps: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """RGB frames at rising steps."""
        remaining = iter(steps)
        awaited = next(remaining, None)
        for step, data in enumerate(self._pictures()):
            if awaited is None:
                return
            if step != awaited:
                continue
            with reading(self.path, f"{self.feature} {step}", "a PNG or JPEG of the set's size"):
                frame = decode_picture(data)
                if frame.shape[:2] != self.size:
                    raise ValueError(f"a picture of {frame.shape[1]}×{frame.shape[0]} pixels")
            yield frame
            awaited = next(remaining, None)

    def _pictures(self) -> Iterator[bytes]:
        expected = "pictures with their bytes, in the order of frame_index"
        with reading(self.path, self.feature, expected):
            batches = ds.dataset(self.path, format="parquet").to_batches(
                columns=[self.feature],
                filter=ds.field("episode_index") == self.episode,
                batch_size=_AT_ONCE,
                batch_readahead=1,
            )
            for batch in batches:
                for row in batch.column(0).to_pylist():
                    yield row["bytes"]
