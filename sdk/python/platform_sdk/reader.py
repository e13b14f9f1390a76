"""Config objects that remember what was read of them.

The field's commonest defect is a setting that validates and is then ignored.
The step therefore hands out config through these readers; what the user wrote
and nobody read by the first metric or checkpoint fails the run.
"""

from __future__ import annotations

from typing import Any, Iterator

from .config import TrainingConfig


class ReadLog:
    """The set of dotted names that were read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def add(self, name: str) -> None:
        self.names.add(name)

    def unread(self, written: list[str]) -> list[str]:
        """The written names that nobody read, sorted."""
        return sorted(n for n in written if n not in self.names)


class RecordingDict(dict):  # type: ignore[type-arg]
    """A nested dict that records which leaves are read.

    ``d["optimizer"]["lr"]`` and ``d.get("optimizer", {}).get("lr")`` record
    ``optimizer.lr``; iterating values or items, copying and unpacking record
    every leaf below. ``in``, ``len`` and ``keys`` record nothing: they tell
    that a setting exists, not that it is used.
    """

    def __init__(self, values: dict[str, Any], log: ReadLog, prefix: str = "") -> None:
        super().__init__()
        self._log, self._prefix = log, prefix
        for key, value in values.items():
            path = f"{prefix}{key}"
            dict.__setitem__(self, key, RecordingDict(value, log, path + ".") if isinstance(value, dict) else value)

    def _read(self, key: Any, value: Any) -> Any:
        if not isinstance(value, RecordingDict):
            self._log.add(f"{self._prefix}{key}")
        return value

    def __getitem__(self, key: Any) -> Any:
        return self._read(key, dict.__getitem__(self, key))

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default

    def pop(self, key: Any, *default: Any) -> Any:
        if key in self:
            self._read(key, dict.__getitem__(self, key))
        return dict.pop(self, key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            dict.__setitem__(self, key, default)
        return self[key]

    def __iter__(self) -> Iterator[Any]:
        # Overridden so that dict(d) and {**d} go through __getitem__ and are seen.
        return dict.__iter__(self)

    def values(self):  # type: ignore[no-untyped-def]
        return [value for _, value in self.items()]

    def items(self):  # type: ignore[no-untyped-def]
        return [(key, self[key]) for key in dict.__iter__(self)]

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return plain(self)

    def __reduce__(self):  # type: ignore[no-untyped-def]
        # Loader workers get plain dicts.
        return (dict, (plain(self),))


def plain(value: Any) -> Any:
    """Copies a config to plain dicts and lists; every leaf counts as read."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Turns ``{"optimizer.type": "adam"}`` into ``{"optimizer": {"type": "adam"}}``."""
    out: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, leaf = name.split(".")
        at = out
        for group in groups:
            at = at.setdefault(group, {})
            if not isinstance(at, dict):
                raise ValueError(f"field {name!r}: {group!r} is a value, not a group")
        at[leaf] = value
    return out


class RecordingTrainingConfig(TrainingConfig):
    """A TrainingConfig that records which attributes were read."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in _ATTRIBUTES:
            private = super().__getattribute__("__pydantic_private__")
            if private and private.get("_log") is not None:
                private["_log"].add(name)
        return value

    _log: Any = None

    @classmethod
    def recording(cls, log: ReadLog, **values: Any) -> "RecordingTrainingConfig":
        config = cls(**values)
        config._log = log
        return config


_ATTRIBUTES = {"epochs", "batch_size", "learning_rate", "device", "seed", "num_workers", "monitor", "mode"}
