"""``python -m platform_sdk.describe adapter.py``: what an adapter offers, as JSON.

The runner commits this text as ``.runner.schemas/NAME.json``; validate and
plan read it and never run Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from types import ModuleType
from typing import Any, Optional

from . import __version__
from .base import TrainingAdapter
from .events import clean
from .loading import AdapterError, adapter_class, load_module, models

FORMAT = 1


def describe(source: str) -> dict[str, Any]:
    """Models, and per task the schema and presets of the adapter in ``source``."""
    module = load_module(source)
    all_models = models(module)
    if not all_models:
        raise AdapterError(f"{source}: get_models() returns no models")
    count(module, all_models)
    framework = str(all_models[0]["framework"])
    adapter = adapter_class(module, framework)
    tasks = sorted({str(getattr(t, "value", t)) for m in all_models for t in m["task_types"]})
    out: dict[str, Any] = {"format": FORMAT, "sdk_version": __version__, "name": framework,
                           "description": _first_line(module.__doc__ or adapter.__doc__ or ""),
                           "license": getattr(module, "LICENSE", ""), "version": str(getattr(module, "__version__", "0")),
                           "numerics": int(getattr(module, "NUMERICS", 1)),
                           "formats": [str(f) for f in getattr(adapter, "dataset_formats", ["dice", "imagefolder"])],
                           "devices": [str(d) for d in getattr(adapter, "devices", ["cpu", "cuda"])],
                           "kinds": kinds(adapter), "models": all_models, "tasks": {}}
    for task in tasks:
        schema = adapter.get_advanced_config_schema(task)
        presets = {name: flatten(values) for name, values in adapter.get_config_presets(task).items()}
        fields = schema.to_dict()["fields"]
        fields += undeclared(presets, {f["name"] for f in fields})
        out["tasks"][task] = {"schema": {"fields": fields}, "presets": presets}
    return clean_keep_none(out)


def count(module: ModuleType, models: list[dict[str, Any]]) -> None:
    """Fills in the numbers of parameters that ``get_models`` leaves open, where the
    module has a ``count_parameters(model_name)``. A long list takes minutes: with
    PLATFORM_SDK_QUICK a sample is counted."""
    counter = getattr(module, "count_parameters", None)
    every = max(1, len(models) // 25) if "PLATFORM_SDK_QUICK" in os.environ else 1
    for model in models[::every] if counter else []:
        if not model["parameters"] and (n := counter(model["model_name"])):
            model["parameters"] = f"{n / 1e9:.1f}B" if n >= 1e9 else f"{n / 1e6:.1f}M" if n >= 1e5 else f"{n / 1e3:.0f}K"


def kinds(adapter: type[TrainingAdapter]) -> list[str]:
    """What steps an adapter has: a class whose attribute ``kinds`` says so, or else all."""
    return [str(k) for k in getattr(adapter, "kinds", ["train", "evaluate", "export"])]


def undeclared(presets: dict[str, dict[str, Any]], known: set[str]) -> list[dict[str, Any]]:
    """Fields for what presets set and the schema forgot: the adapter reads them
    all the same, so they may be written, too. Each is warned of."""
    out: dict[str, dict[str, Any]] = {}
    for preset, values in presets.items():
        for name, value in values.items():
            if name in known or name in out:
                continue
            print(f"warning: preset {preset!r} sets {name!r}, which is not a field of the schema; declare it", file=sys.stderr)
            kind = "boolean" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "list" if isinstance(value, list) else "string"
            out[name] = {"name": name, "type": kind, "label": name, "description": "Set by presets; the schema does not declare it.", "default": None}
    return list(out.values())


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
    args = parser.parse_args(argv)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the adapter prints is not the description
            text = json.dumps(describe(args.source), indent=2, ensure_ascii=False)
        print(text)
    except AdapterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
