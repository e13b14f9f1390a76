"""timm: image classification with every model of pytorch-image-models.

Data, optimizer, schedule, checkpoints and validation are the SDK's
classification loop; model, input size, normalisation and interpolation are
timm's own, and so are more transforms, mixing and schedules (timm_settings).
"""

from __future__ import annotations

import fnmatch
import math
from typing import Any, Optional

from ..classification import ClassificationAdapter
from ..config import ConfigSchema
from ..loading import AdapterError, SettingError
from ..training import draws_of
from . import timm_settings

LICENSE = "Apache-2.0"
NUMERICS = 2


def get_models(task_type: Optional[str] = None) -> list[dict[str, Any]]:
    """Every model that timm can build, with the input size, weights and licence
    of its default pretrained configuration."""
    if task_type not in (None, "image_classification"):
        return []
    import timm

    pretrained = {name.split(".")[0] for name in timm.list_models(pretrained=True)}  # listed as model.weights
    models = []
    for name in timm.list_models():
        config = timm.get_pretrained_cfg(name)
        size = config.input_size[-1] if config is not None and config.input_size else 224
        models.append({
            "model_name": name, "framework": "timm", "task_types": ["image_classification"], "default_image_size": int(size),
            "pretrained": name in pretrained, "description": f"{name} of pytorch-image-models",
            "license": _licence(str((config.license if config is not None else None) or "Apache-2.0")),
        })
    return models


# timm writes licences in small letters; policies and people know them by SPDX's names.
_SPDX = ("Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0")


def _licence(name: str) -> str:
    return next((known for known in _SPDX if known.lower() == name.lower()), name)


def count_parameters(name: str) -> Optional[int]:
    """With the model's own head; None where timm cannot build it without its weights."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            return sum(p.numel() for p in timm.create_model(name, pretrained=False).parameters())
    except Exception:
        return None


class TimmAdapter(ClassificationAdapter):
    """Trains a timm model."""

    crop_mode = "center"

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        return timm_settings.schema()

    def prepare_model(self) -> None:
        import timm

        c = self.model_config
        if c.model_name not in timm.list_models():
            raise AdapterError(f"timm {timm.__version__} has no model {c.model_name!r}; see: runner models --framework timm")
        arguments: dict[str, Any] = {"pretrained": c.pretrained and not c.weights, "num_classes": c.num_classes}
        if _takes_image_size(c.model_name):
            arguments["img_size"] = c.image_size
        rates = timm_settings.drop_rates(self._config())
        try:
            self.model = timm.create_model(c.model_name, **arguments, **rates)
        except TypeError as error:
            if name := next((n for n in rates if f"'{n}'" in str(error)), None):
                raise SettingError(f"{name}: {c.model_name} takes none; leave it out") from error
            raise
        self.drop_rates = timm_settings.dropped(self.model, rates)
        if c.weights:
            self._load_weights(c.weights)
        for name, parameter in self.model.named_parameters():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in c.freeze):
                parameter.requires_grad_(False)

    def prepare_dataset(self) -> None:
        import timm

        config = timm.get_pretrained_cfg(self.model_config.model_name)
        if config is not None:
            self.mean, self.std = tuple(config.mean), tuple(config.std)
            self.crop_pct, self.interpolation, self.crop_mode = config.crop_pct, config.interpolation, config.crop_mode
        super().prepare_dataset()
        self.mixup = timm_settings.mixer(self._config().get("mixup", {}), self.model_config.num_classes or 0)

    def resize(self) -> list[Any]:
        from torchvision import transforms as T

        if self.crop_mode != "squash":
            return super().resize()
        size = math.floor(self.model_config.image_size / self.crop_pct)
        return [T.Resize((size, size), T.InterpolationMode(self.interpolation)), T.CenterCrop(self.model_config.image_size)]

    def train_transform(self) -> Any:
        whole, a = super().train_transform(), self._config().get("augmentation", {})
        if self.augmentation["enabled"]:
            whole.transforms = timm_settings.augment(whole.transforms, len(self.resize()), a, self.model_config.image_size, self.mean, self.interpolation)
        return whole

    def make_schedule(self, config: dict[str, Any], base_lr: float) -> timm_settings.TimmSchedule:
        return timm_settings.TimmSchedule(config, self.training_config.epochs, base_lr)

    def mix(self, images: Any, labels: Any, epoch: int, position: int) -> tuple[Any, Any]:
        if self.mixup is None:
            return images, labels
        with draws_of(self.training_config.seed, epoch, position, len(labels)):
            return timm_settings.mix(self.mixup, images, labels, epoch)

    def applied_config(self) -> dict[str, Any]:
        out = super().applied_config() | self.schedule.applied() | timm_settings.mixed(self.mixup) | self.drop_rates
        if self.augmentation["enabled"]:
            out |= timm_settings.augmented(self.train_set.transform.transforms)
        return out

    def _load_weights(self, path: str) -> None:
        """Strict but for the classifier: a head of another size starts anew, and that is told."""
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            import torch

            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("model_state_dict", state)
        own = self.model.state_dict()
        head = set(self._classifier_names())
        dropped = [n for n in head if n in state and n in own and state[n].shape != own[n].shape]
        for name in dropped:
            del state[name]
        missing = sorted(set(own) - set(state) - set(dropped))
        unexpected = sorted(set(state) - set(own))
        shapes = sorted(n for n in set(own) & set(state) if own[n].shape != state[n].shape)
        if missing or unexpected or shapes:
            raise AdapterError(f"{path} does not fit {self.model_config.model_name}: missing {missing[:5]}, unexpected {unexpected[:5]}, "
                               f"of another shape {shapes[:5]}")
        self.model.load_state_dict(state, strict=False)
        loaded = [n for n in state if n in own and not n.endswith("num_batches_tracked")]
        self._tell(f"weights {path}: {len(loaded)} tensors loaded", "INFO")
        if dropped:
            self._tell(f"{', '.join(sorted(dropped))} of {path} are of another number of classes; the classifier starts anew")

    def _classifier_names(self) -> list[str]:
        head = self.model.get_classifier()
        return [n for n, p in self.model.named_parameters() if any(p is q for q in head.parameters())]


def _takes_image_size(name: str) -> bool:
    """Whether the model's code takes img_size (transformers do; convolution nets take any size)."""
    import inspect

    import timm

    try:
        return "img_size" in inspect.getsource(timm.model_entrypoint(name)) or name.startswith(("vit_", "deit", "swin", "beit", "eva", "mixer_"))
    except OSError:
        return False
