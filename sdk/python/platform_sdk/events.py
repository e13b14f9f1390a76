"""The run protocol: events go to an append-only file first (docs/protocol.md).

Observers read that file. Nothing that watches a training can slow it or stop it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

VERSION = 1
_log = logging.getLogger("platform_sdk")
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


class Backend:
    """Sends events to a ``runner serve`` (``POST /api/v1/internal/training/callback``)
    from a thread of its own: who reports never waits. Each event bears a name, so
    that one that is sent again after a lost answer counts once. While the server
    is away up to ``keep`` events are kept, and the oldest given up first."""

    def __init__(self, url: str, job_id: int | str, token: str = "", keep: int = 100_000, timeout: float = 10.0) -> None:
        self.url = url.rstrip("/") + "/api/v1/internal/training/callback"
        self.job_id, self.token, self.keep, self.timeout = job_id, token, keep, timeout
        self.lost = 0  # events given up
        self._session, self._count = uuid.uuid4().hex, 0
        self._pending: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="platform-backend", daemon=True)
        self._thread.start()

    def emit(self, type: str, body: dict[str, Any]) -> None:
        """Takes one event; it is sent in a moment."""
        event = {"v": VERSION, "time": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"), "type": type, type: clean(body)}
        with self._news:
            self._count += 1
            self._pending.append({"id": f"{self._session}-{self._count}", "event": event})
            if len(self._pending) > self.keep:
                del self._pending[0]
                self.lost += 1
            self._news.notify()

    def close(self, wait: float = 30.0) -> None:
        """Sends what is left, for at most ``wait`` seconds."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(wait)

    def _work(self) -> None:
        delay = 0.2
        while True:
            with self._news:
                while not self._pending and not self._closed:
                    self._news.wait()
                batch = self._pending[:500]
            if not batch:
                return
            outcome = self._send(batch)
            if outcome == "again":
                time.sleep(delay)
                delay = min(2 * delay, 5.0)
                continue
            delay = 0.2
            sent = {e["id"] for e in batch}
            with self._news:
                self._pending = [e for e in self._pending if e["id"] not in sent]
                self.lost += len(batch) if outcome == "refused" else 0

    def _send(self, batch: list[dict[str, Any]]) -> str:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps({"job_id": self.job_id, "reports": batch}, allow_nan=False).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=self.timeout):
                return "sent"
        except urllib.error.HTTPError as err:
            if err.code >= 500 or err.code == 429:
                return "again"
            _log.error("the platform refuses %d events: %s %s", len(batch), err.code, err.read()[:500])
            return "refused"
        except OSError:
            return "again"


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
