"""``python -m platform_sdk.describe adapter.py``: what an adapter offers, as JSON.

The runner commits this text as ``.runner.schemas/NAME.json``; validate and
plan read it and never run Python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Optional

from . import __version__
from .events import clean
from .loading import AdapterError, adapter_class, load_module, models

FORMAT = 1


def describe(source: str, requirements: Optional[str] = None) -> dict[str, Any]:
    """Models, and per task the schema and presets of the adapter in ``source``."""
    module = load_module(source)
    all_models = models(module)
    if not all_models:
        raise AdapterError(f"{source}: get_models() returns no models")
    framework = str(all_models[0]["framework"])
    adapter = adapter_class(module, framework)
    tasks = sorted({str(getattr(t, "value", t)) for m in all_models for t in m["task_types"]})
    out: dict[str, Any] = {"format": FORMAT, "sdk_version": __version__, "name": framework,
                           "description": _first_line(module.__doc__ or adapter.__doc__ or ""),
                           "license": getattr(module, "LICENSE", ""), "version": str(getattr(module, "__version__", "0")),
                           "numerics": int(getattr(module, "NUMERICS", 1)),
                           "formats": [str(f) for f in getattr(adapter, "dataset_formats", ["dice", "imagefolder"])],
                           "key": source_key(source, requirements), "models": all_models, "tasks": {}}
    for task in tasks:
        schema = adapter.get_advanced_config_schema(task)
        known = {f.name for f in schema.fields}
        presets = {name: flatten(values) for name, values in adapter.get_config_presets(task).items()}
        for name, values in presets.items():
            for field in values:
                if field not in known:
                    print(f"warning: preset {name!r} sets {field!r}, which is not a field of the schema", file=sys.stderr)
        out["tasks"][task] = {"schema": schema.to_dict(), "presets": presets}
    return clean_keep_none(out)


def source_key(source: str, requirements: Optional[str] = None) -> str:
    """Hash of the source folder's ``*.py``, the requirements file and the SDK version."""
    path = Path(source)
    digest = hashlib.sha256(f"sdk {__version__}\n".encode())
    folder = path if path.is_dir() else path.parent
    for file in sorted(folder.rglob("*.py")) if path.exists() else []:
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    if requirements:
        digest.update(hashlib.sha256(Path(requirements).read_bytes()).digest())
    return "sha256:" + digest.hexdigest()


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"optimizer": {"type": "adam"}}`` to ``{"optimizer.type": "adam"}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def clean_keep_none(value: Any) -> Any:
    """Like events.clean, but null stays: a field's default may be unset."""
    if isinstance(value, dict):
        return {str(k): clean_keep_none(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_keep_none(v) for v in value]
    return clean(value)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m platform_sdk.describe", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", help="adapter file, package folder or module name")
    parser.add_argument("--requirements", help="its requirements file, part of the key")
    args = parser.parse_args(argv)
    try:
        print(json.dumps(describe(args.source, args.requirements), indent=2, ensure_ascii=False))
    except AdapterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
