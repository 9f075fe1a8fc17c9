"""An mcap bag that is written as it comes, and is whole even where the disk takes no more."""

from collections import Counter
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, cast

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter


class _Gathered(BytesIO):
    """What belongs at a place of a file, to be written there at once."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start = start

    def tell(self) -> int:
        """Tell the place in the file."""
        return self._start + super().tell()

    def close(self) -> None:
        """Stay readable."""


class _WholeChunks(McapWriter):
    """One whose file ends with a whole chunk, and can do without its last ones."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.bio.close()
        self._file = FileIO(self.path, "r+")
        self._file.seek(0, 2)
        self._ends: list[tuple[int, Counter[int]]] = []  # where chunks start, and what they hold
        self._gather()

    def flush(self) -> None:
        """Write what is pending as a chunk."""
        if self.chunk.bio.tell():
            self.close_chunk()

    def close_chunk(self) -> None:
        """Write the pending chunk wholly, or forget it and raise OSError."""
        start = self._file.tell()
        self._ends.append((start, Counter({of: len(all_) for of, all_ in self.chunk.msgs.items()})))
        super().close_chunk()
        try:
            self._put()
        except OSError:
            self.give_way()
            raise

    def close(self, version: int, metadata: str) -> None:
        """Write the index, and close."""
        super().close(version, metadata)
        self._put()
        self._file.close()

    def abort(self) -> None:
        """Close without an index."""
        self._file.close()

    def give_way(self) -> bool:
        """Drop the last chunk, if there is one."""
        if not self._ends:
            return False
        start, held = self._ends.pop()
        self.chunks.pop()
        for connection, count in held.items():
            self.channel_stats[connection] -= count
        self._file.seek(start)
        self._file.truncate()
        self._gather()
        return True

    def _gather(self) -> None:
        self._gathered = _Gathered(self._file.tell())
        self.bio = cast(Any, self._gathered)

    def _put(self) -> None:
        start, rest = self._file.tell(), memoryview(self._gathered.getvalue())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.seek(start)
            self._file.truncate()
            raise
        finally:
            self._gather()


class BagFile(Writer):
    """`write` raises OSError when nothing more fits: what came before is kept, and `close` gives
    it the index without which nobody could read it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        self.STORAGE_PLUGINS = {StoragePlugin.MCAP: _WholeChunks}

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        """Add a message; what was not yet on the disk is lost where this raises OSError."""
        try:
            super().write(connection, timestamp, data)
        except OSError:
            self._storage.give_way()  # to the index
            raise

    def close(self) -> None:
        """Write the index; of as much as leaves room for it."""
        while True:
            try:
                self._storage.flush()
                self.counts = dict(self._storage.channel_stats)
                super().close()
            except OSError:
                if self.storage is None or not self._storage.give_way():
                    raise
            else:
                return

    @property
    def _storage(self) -> "_WholeChunks":
        assert isinstance(self.storage, _WholeChunks)
        return self.storage
