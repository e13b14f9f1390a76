"""The run protocol: events go to an append-only file first (docs/protocol.md).

Observers read that file. Nothing that watches a training can slow it or stop it.
"""

from __future__ import annotations

import json
import math
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

VERSION = 1
_DURABLE = {"config_applied", "resumed", "validation", "checkpoint", "result"}


class Spool:
    """Writes ``events.ndjson`` of one attempt: one line, one write. Lines that
    others rely on after a crash are synced to the disk before the call returns.
    Thread-safe."""

    def __init__(self, attempt_dir: str | Path, attempt: int) -> None:
        self.path = Path(attempt_dir) / "events.ndjson"
        self.attempt = attempt
        self._lock = threading.Lock()
        self._seq = _last_seq(self.path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def emit(self, type: str, body: dict[str, Any]) -> None:
        """Appends one event. Raises OSError when the disk refuses it."""
        with self._lock:
            self._seq += 1
            event = {
                "v": VERSION,
                "attempt": self.attempt,
                "seq": self._seq,
                "time": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
                "type": type,
                type: clean(body),
            }
            os.write(self._fd, (json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n").encode())
            if type in _DURABLE:
                os.fsync(self._fd)

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.fsync(self._fd)
                os.close(self._fd)
                self._fd = -1


class Discard:
    """An event sink outside a run: nothing is kept."""

    def emit(self, type: str, body: dict[str, Any]) -> None:
        return None

    def close(self) -> None:
        return None


def _last_seq(path: Path) -> int:
    if not path.exists():
        return 0
    seq, whole = 0, 0
    data = path.read_bytes()
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break  # a torn last line
        whole += len(line)
        try:
            seq = max(seq, int(json.loads(line).get("seq", 0)))
        except (ValueError, AttributeError):
            continue
    if whole < len(data):
        os.truncate(path, whole)
    return seq


def clean(value: Any) -> Any:
    """Makes a value fit for JSON: numpy and torch scalars to Python's, NaN and
    infinities to the strings that the protocol names, enums and paths to text."""
    if value is None or isinstance(value, (bool, str, int)) and not hasattr(value, "value"):
        return value
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple, set)):
        return [clean(v) for v in value]
    if hasattr(value, "value") and isinstance(value.value, str):
        return value.value
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return clean(value.item())
    return str(value)
