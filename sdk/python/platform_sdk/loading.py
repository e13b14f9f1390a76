"""Finding the adapter in a user's file."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

from . import ADAPTER_REGISTRY
from .base import TrainingAdapter


class AdapterError(Exception):
    """The adapter file cannot be used; the message says why and what to do."""


class SettingError(AdapterError):
    """A setting that cannot be had beside the others. The message begins with its
    name; the step ends with cause ``config``, which no retry mends."""


def load_module(source: str) -> ModuleType:
    """Imports an adapter from a ``.py`` file, a package folder, or a dotted module name."""
    path = Path(source)
    if path.suffix != ".py" and not path.exists():
        try:
            return importlib.import_module(source)
        except ModuleNotFoundError as error:
            if error.name == source:
                raise AdapterError(f"there is no file and no module {source!r}") from error
            raise
    if path.is_dir():
        path = path / "__init__.py"
    if not path.is_file():
        raise AdapterError(f"adapter file {path} does not exist")
    _import_neighbours(str(path.parent.resolve()))
    name = path.stem if path.name != "__init__.py" else path.parent.name
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class _Neighbours(importlib.machinery.FileFinder):
    """Finds modules and packages in a folder; a folder of data is no package."""

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[importlib.machinery.ModuleSpec]:
        spec = super().find_spec(fullname, target)
        return spec if spec is not None and spec.loader is not None else None


def _import_neighbours(folder: str) -> None:
    """Lets an adapter's file import the modules beside it. They come after what
    is installed: the folder may be a pipeline's, with anything in it, and a
    ``numpy.py`` or a data folder ``datasets/`` there must not stand in for the package."""
    machinery = importlib.machinery
    sys.path_importer_cache[folder] = _Neighbours(
        folder, (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES), (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES))
    if folder not in sys.path:
        sys.path.append(folder)


def adapter_class(module: ModuleType, framework: Optional[str] = None) -> type[TrainingAdapter]:
    """The adapter that a module defines: its ``ADAPTER_REGISTRY`` entry for the
    framework, else the one concrete subclass of TrainingAdapter."""
    registry: dict[str, Any] = {**ADAPTER_REGISTRY, **getattr(module, "ADAPTER_REGISTRY", {})}
    if framework and framework in registry:
        return registry[framework]
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass)
               if issubclass(c, TrainingAdapter) and c is not TrainingAdapter and not inspect.isabstract(c)]
    own = [c for c in classes if c.__module__ == module.__name__] or classes
    if len(own) == 1:
        return own[0]
    if not own:
        raise AdapterError(f"{module.__name__} defines no TrainingAdapter; write a class that derives from it and implements "
                           "prepare_model, prepare_dataset and train")
    names = ", ".join(sorted(c.__name__ for c in own))
    raise AdapterError(f"{module.__name__} defines several adapters ({names}); name them in ADAPTER_REGISTRY = {{\"framework\": Class}}")


def models(module: ModuleType, task_type: Optional[str] = None) -> list[dict[str, Any]]:
    """What ``get_models(task_type)`` of the module returns, with every key of the model registry."""
    get = getattr(module, "get_models", None)
    if get is None:
        raise AdapterError(f"{module.__name__} has no get_models(task_type=None); the platform lists models through it")
    out = []
    for model in get(task_type):
        missing = [k for k in ("model_name", "framework", "task_types") if k not in model]
        if missing:
            raise AdapterError(f"a model of {module.__name__} lacks {', '.join(missing)}: {model}")
        out.append({"default_image_size": 224, "parameters": "", "pretrained": False, "description": "", "license": "", **model})
    return out
