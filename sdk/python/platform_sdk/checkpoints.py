"""Checkpoint files: written whole or not at all, hashed, found again.

``save`` and ``load`` keep everything that training is made of (model,
optimizer, scheduler, scaler, random generators, epoch, sample position), so
that a resumed training goes on as if it had never stopped. ``find`` and
``scan`` also take files that an adapter wrote itself with ``torch.save``.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

_NAME = re.compile(r"^(?:epoch_(\d+)|latest|best)\.(?:pth|pt)$")


@dataclass(frozen=True)
class Found:
    """A checkpoint file: its role (``epoch_N``, ``latest``, ``best``) and content."""

    name: str
    path: Path
    epoch: Optional[int]  # of epoch_N, counted from 0
    size: int
    mtime_ns: int
    inode: int


def find(folder: str | Path) -> list[Found]:
    """Lists ``epoch_N``, ``latest`` and ``best`` in a folder, oldest first."""
    found = []
    for path in Path(folder).glob("*.p*"):
        match = _NAME.match(path.name)
        if match and path.is_file():
            stat = path.stat()
            found.append(Found(path.stem, path, int(match[1]) if match[1] else None, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return sorted(found, key=lambda f: (f.mtime_ns, f.epoch if f.epoch is not None else -1))


def readable(path: str | Path) -> bool:
    """Whether a file is a whole torch checkpoint: every record of its archive
    passes its checksum. Old pickle-only files are taken when they end as a
    pickle ends."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        with open(path, "rb") as file:
            head = file.read(2)
            file.seek(-1, os.SEEK_END)
            return head[:1] == b"\x80" and file.read(1) == b"."
    except (OSError, zipfile.BadZipFile):
        return False


def newest(folder: str | Path) -> tuple[Optional[Found], list[Path]]:
    """The newest readable checkpoint to resume from, and the unreadable ones
    that were passed over. ``best`` is never resumed from."""
    broken = []
    for found in reversed([f for f in find(folder) if f.name != "best"]):
        if readable(found.path):
            return found, broken
        broken.append(found.path)
    return None, broken


def retain(folder: str | Path, policy: dict[str, int], metric: dict[int, float], smaller: bool = False) -> list[Path]:
    """Removes the ``epoch_N`` files that a ``checkpoint`` block does not keep, and
    returns them: the ``keep_last`` newest stay (2), every ``keep_every``-th, and
    the ``keep_best`` best by ``metric`` of their epochs (1); two always do, so
    that a damaged one has one to fall back to."""
    epochs = sorted((f for f in find(folder) if f.epoch is not None), key=lambda f: -f.epoch)
    keep = {f.epoch for f in epochs[:max(2, policy.get("keep_last") or 2)]}
    if every := policy.get("keep_every"):
        keep |= {f.epoch for f in epochs if (f.epoch + 1) % every == 0}
    ranked = sorted((f.epoch for f in epochs if metric.get(f.epoch, math.nan) == metric.get(f.epoch, math.nan)),
                    key=lambda e: (metric[e] if smaller else -metric[e], e))
    keep |= set(ranked[:policy.get("keep_best") or 1])
    gone = [f.path for f in epochs if f.epoch not in keep]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def summary(path: str | Path) -> dict[str, Any]:
    """What a checkpoint says of itself: ``epoch`` (from 0) and ``global_step``
    (None where it does not say), ``metrics``, ``per_class``."""
    out: dict[str, Any] = {"epoch": None, "global_step": None, "metrics": {}, "per_class": {}}
    try:
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception:  # of another framework: its name and place say all there is to say
        return out
    if not isinstance(state, dict):
        return out
    if isinstance(state.get("epoch"), int):
        out["epoch"] = state["epoch"]
    extra = state.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    if isinstance(extra.get("global_step"), int):
        out["global_step"] = extra["global_step"]
    if isinstance(extra.get("per_class"), dict):
        out["per_class"] = extra["per_class"]
    if isinstance(state.get("metrics"), dict):
        out["metrics"] = {k: float(v) for k, v in state["metrics"].items() if isinstance(v, (int, float))}
    return out


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def atomic_save(value: Any, path: str | Path) -> Path:
    """``torch.save`` to a temporary name in the same folder, synced and renamed:
    a crash leaves the old file or the new one, never half of one."""
    import torch

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(prefix="." + path.name + ".", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(path.parent)
    return path


def _sync(path: str | Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def link(source: str | Path, path: str | Path) -> Path:
    """Gives a checkpoint another name (``latest``, ``best``) without writing it
    again: a hard link, or a copy where the file system has none; renamed into
    place, so that a crash leaves the old file or the new one."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
        _sync(temporary)
    os.replace(temporary, path)
    _sync(path.parent)
    return path


def settle(folder: str | Path, start: str | Path, monitor: str, smaller: bool = False) -> None:
    """Puts ``latest`` and ``best`` of a folder right before a training goes on from
    ``start``: a process that died between an epoch's file and its other names left
    them behind, and the best epoch of another run lies beside the checkpoint that
    was taken from there. What half-written files a dead process left is removed."""
    folder, start = Path(folder), Path(start)
    for path in folder.glob(".*"):
        if _NAME.match(path.name[1:].rpartition(".")[0]):
            path.unlink(missing_ok=True)
    best, candidates = folder / f"best{start.suffix}", [start]
    if start.parent.resolve() != folder.resolve():
        beside = start.with_name(best.name)
        if beside.is_file() and (summary(beside)["epoch"] or 0) <= (summary(start)["epoch"] or 0):
            candidates.insert(0, beside)
    elif start.stem.startswith("epoch_"):
        link(start, start.with_stem("latest"))
    reached = _value(best, monitor)
    for path in candidates:
        value = _value(path, monitor)
        if value is not None and (reached is None or (value < reached if smaller else value > reached)):
            link(path, best)
            reached = value


def _value(path: Path, metric: str) -> Optional[float]:
    value = summary(path)["metrics"].get(metric) if path.is_file() and readable(path) else None
    return None if value is None or value != value else value


def whole(*, epoch: int, model: Any, optimizer: Any = None, scheduler: Any = None, scaler: Any = None, ema: Any = None,
          sample_position: int = 0, metrics: Optional[dict[str, Any]] = None, extra: Optional[dict[str, Any]] = None) -> dict[str, Any]:
    """The whole state of a training after ``epoch`` (counted from 0), as ``save``
    writes it. ``sample_position`` is how many samples of the next epoch are done."""
    state: dict[str, Any] = {
        "epoch": epoch, "sample_position": sample_position, "metrics": metrics or {},
        "model_state_dict": model.state_dict(), "rng": rng_state(), "extra": extra or {},
    }
    for name, part in (("optimizer", optimizer), ("scheduler", scheduler), ("scaler", scaler), ("ema", ema)):
        if part is not None:
            state[f"{name}_state_dict"] = part.state_dict()
    return state


def save(path: str | Path, **state: Any) -> Path:
    """Saves what ``whole`` collects: ``save(path, epoch=2, model=model, optimizer=optimizer)``."""
    return atomic_save(whole(**state), path)


def load(path: str | Path, *, model: Any, optimizer: Any = None, scheduler: Any = None, scaler: Any = None, ema: Any = None,
         resume: bool = True, device: str = "cpu") -> dict[str, Any]:
    """Loads a checkpoint of ``save``. With ``resume`` everything, random
    generators included; without, the weights alone. Returns its other entries.
    No code in the file is run (``weights_only``)."""
    import torch

    state = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(state["model_state_dict"])
    if resume:
        for name, part in (("optimizer", optimizer), ("scheduler", scheduler), ("scaler", scaler), ("ema", ema)):
            if part is None:
                continue
            if f"{name}_state_dict" not in state:
                raise KeyError(f"{path} holds no {name} state; resume with what it was saved with, or start from its weights")
            part.load_state_dict(state[f"{name}_state_dict"])
        if "rng" in state:
            set_rng_state(state["rng"])
    return {k: v for k, v in state.items() if not k.endswith("_state_dict") and k != "rng"}


def rng_state() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's generators, as plain tensors and lists."""
    import torch

    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {"python": [version, list(internal), gauss], "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    try:
        import numpy

        kind, keys, pos, has_gauss, cached = numpy.random.get_state()
        state["numpy"] = [kind, torch.from_numpy(keys.astype("int64")), int(pos), int(has_gauss), float(cached)]
    except ImportError:
        pass
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Puts the generators back to ``rng_state()``."""
    import torch

    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "numpy" in state:
        import numpy

        kind, keys, pos, has_gauss, cached = state["numpy"]
        numpy.random.set_state((kind, keys.numpy().astype("uint32"), pos, has_gauss, cached))
