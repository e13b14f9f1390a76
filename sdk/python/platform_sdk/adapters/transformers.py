"""transformers: image classification and object detection with Hugging Face models, from their configurations.

The framework's Trainer runs the loop; the SDK gives it data, optimizer and
schedule, and a callback measures, reports and keeps checkpoints after each
epoch. Models start from their configuration with random weights, or from a
file of ``weights``; nothing is downloaded.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Any, List, Optional

from ..classification import ClassificationAdapter
from ..config import ConfigField, ConfigSchema
from ..loading import AdapterError
from ..results import MetricsResult
from ..training import Schedule, make_optimizer, seed_everything, standard_presets, standard_schema

LICENSE = "Apache-2.0"
NUMERICS = 2

# Width, layers, heads of a transformer; the rest of a name says what is made of it.
_SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}
# Widths and depths of a ResNet, for its own classifier and for DETR's backbone.
_RESNETS = {"18": ([64, 128, 256, 512], [2, 2, 2, 2], "basic"), "50": ([256, 512, 1024, 2048], [3, 4, 6, 3], "bottleneck")}
_MODELS = {
    "image_classification": [*(f"vit-{s}-patch16" for s in _SIZES), *(f"deit-{s}-patch16" for s in _SIZES), *(f"resnet-{d}" for d in _RESNETS)],
    "object_detection": [*(f"yolos-{s}" for s in _SIZES), *(f"detr-resnet-{d}" for d in _RESNETS)],
}
# Settings of the SDK's classification loop that the Trainer has no part for.
_ABSENT = {"image_classification": {"ema_decay"},
           "object_detection": {"ema_decay", "label_smoothing", "augmentation.random_crop", "augmentation.rotation"}}


def get_models(task_type: Optional[str] = None) -> list[dict[str, Any]]:
    """The configurations that this adapter builds, by task."""
    return [{"model_name": name, "framework": "transformers", "task_types": [task], "default_image_size": 224 if task == "image_classification" else 512,
             "pretrained": False, "description": f"{name} of transformers", "license": LICENSE}
            for task, names in _MODELS.items() for name in names if task_type in (None, task)]


def count_parameters(name: str) -> int:
    """At the default image size, with a head for ImageNet's 1,000 classes or COCO's 80."""
    _offline()
    import torch

    task, size, classes = ("object_detection", 512, 80) if name in _MODELS["object_detection"] else ("image_classification", 224, 1000)
    with torch.device("meta"):
        return sum(p.numel() for p in build_model(task, model_config(name, size, [str(i) for i in range(classes)], {})).parameters())


def model_config(name: str, image_size: int, classes: list[str], settings: dict[str, Any]) -> Any:
    """The framework's configuration of a model, for this data and these settings."""
    import transformers

    labels = {"num_labels": len(classes), "id2label": dict(enumerate(classes)), "label2id": {c: i for i, c in enumerate(classes)}}
    kind, _, size = name.partition("-")
    if kind == "resnet":
        widths, depths, layer = _RESNETS[size]
        return transformers.ResNetConfig(hidden_sizes=widths, depths=depths, layer_type=layer, **labels)
    losses = {"bbox_loss_coefficient": settings.get("bbox", 5), "giou_loss_coefficient": settings.get("giou", 2),
              "eos_coefficient": settings.get("background", 0.1)}
    if kind == "detr":
        widths, depths, layer = _RESNETS[size.removeprefix("resnet-")]
        backbone = transformers.ResNetConfig(hidden_sizes=widths, depths=depths, layer_type=layer, out_features=["stage4"])
        return transformers.DetrConfig(backbone_config=backbone, num_queries=settings.get("queries", 100), **losses, **labels)
    width, layers, heads = _SIZES[size.split("-")[0]]
    shape = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 4 * width}
    if kind == "yolos":
        return transformers.YolosConfig(**shape, image_size=[image_size, image_size], num_detection_tokens=settings.get("queries", 100),
                                        use_mid_position_embeddings=False, **losses, **labels)
    if kind == "deit":  # of its two classifiers, the one that distils from no teacher
        return transformers.DeiTConfig(**shape, image_size=image_size, architectures=["DeiTForImageClassification"], **labels)
    return transformers.ViTConfig(**shape, image_size=image_size, **labels)


def build_model(task: str, config: Any) -> Any:
    """The framework's model of a configuration, with random weights."""
    import transformers

    auto = transformers.AutoModelForObjectDetection if task == "object_detection" else transformers.AutoModelForImageClassification
    return auto.from_config(config, attn_implementation="eager")


class TransformersAdapter(ClassificationAdapter):
    """Trains a model of transformers through its Trainer."""

    dataset_formats = ["imagefolder", "dice", "coco", "yolo", "voc"]
    reads_index = True

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        fields = [f for f in standard_schema().fields if f.name not in _ABSENT[task_type]]
        if task_type == "object_detection":
            fields += [
                ConfigField(name="loss.bbox", type="integer", default=5, min=0, max=1000, step=1, label="Box distance", group="Loss", resume="apply",
                            description="Weight of the distance between boxes."),
                ConfigField(name="loss.giou", type="integer", default=2, min=0, max=1000, step=1, label="Box overlap", group="Loss", resume="apply",
                            description="Weight of the boxes' overlap (generalised IoU)."),
                ConfigField(name="loss.background", type="number", default=0.1, min=0, max=1, step=0.05, label="Background", group="Loss", resume="apply",
                            description="Weight of queries that should find nothing."),
                ConfigField(name="queries", type="integer", default=100, min=1, max=10000, step=10, label="Queries", group="Model", resume="forbid",
                            description="Objects that can be found in one image."),
            ]
        return ConfigSchema(fields=fields)

    @staticmethod
    def get_config_presets(task_type: str) -> dict[str, Any]:
        presets = standard_presets()
        if task_type == "object_detection":  # transformers that look for boxes learn slowly, and need it
            for preset, rate in (("basic", 1e-4), ("standard", 1e-4), ("aggressive", 3e-4)):
                presets[preset]["optimizer"] |= {"type": "adamw", "learning_rate": rate}
                presets[preset]["gradient_clip_value"] = 0.1
        return presets

    @property
    def detects(self) -> bool:
        return str(self.model_config.task_type) == "object_detection"

    # -- building ----------------------------------------------------------------

    def prepare_dataset(self) -> None:
        _offline()
        from . import hf_data

        self.augmentation: dict[str, Any] = {}
        self.train_set, self.other_sets, classes = hf_data.load(self)
        self.dataset_config.classes = classes
        self.model_config.num_classes = len(classes)

    def resize(self) -> list[Any]:
        """Squared, as its image processors do."""
        from torchvision import transforms as T

        size = self.model_config.image_size
        return [T.Resize((size, size))]

    def applied_attributes(self) -> dict[str, Any]:
        return {}

    def prepare_model(self) -> None:
        _offline()
        c = self.model_config
        task = str(c.task_type)
        if c.model_name not in _MODELS.get(task, []):
            raise AdapterError(f"this adapter builds no model {c.model_name!r} for {task}; there are {', '.join(_MODELS.get(task, [])) or 'none'}")
        if c.pretrained and not c.weights:
            raise AdapterError("the transformers adapter downloads nothing; fetch model.safetensors yourself and write "
                               "weights = \"…/model.safetensors\" in place of pretrained = true")
        config = self._config()
        settings = dict(config.get("loss", {})) | ({"queries": config["queries"]} if "queries" in config else {})
        built = model_config(c.model_name, c.image_size, self.dataset_config.classes, settings)
        seed_everything(self.training_config.seed)
        self.model = build_model(task, built)
        if c.weights:
            self._load_weights(c.weights)
        for name, parameter in self.model.named_parameters():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in c.freeze):
                parameter.requires_grad_(False)

    def _load_weights(self, path: str) -> None:
        """Takes what fits; a head of other classes starts anew, a file of another model is refused."""
        import torch

        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("model_state_dict", state)
        own = self.model.state_dict()
        fits = {n: v for n, v in state.items() if n in own and own[n].shape == v.shape}
        if len(fits) < 0.5 * len(own):
            raise AdapterError(f"{path} does not fit {self.model_config.model_name}: {len(fits)} of its {len(own)} tensors have the same name and shape")
        self.model.load_state_dict(fits, strict=False)
        if left := sorted(set(own) - set(fits)):
            self._tell(f"{', '.join(left[:5])} start anew: {path} has none of this shape")

    def build_trainer(self) -> Any:
        """The framework's Trainer with our optimizer and schedule, not started yet."""
        import torch

        from . import hf_trainer

        config, t = self._config(), self.training_config
        optimizer = make_optimizer([p for p in self.model.parameters() if p.requires_grad], config.get("optimizer", {}), t.learning_rate)
        self.schedule = Schedule(config.get("scheduler", {}), t.epochs, optimizer.param_groups[0]["lr"])
        accumulation, drop = int(config.get("gradient_accumulation", 1)), bool(config.get("drop_last", False))
        batches = len(self.train_set) // t.batch_size if drop else -(-len(self.train_set) // t.batch_size)
        if not batches:
            raise AdapterError(f"drop_last leaves nothing: {len(self.train_set)} training images make no batch of {t.batch_size}")
        per_epoch = -(-batches // accumulation)
        base = self.schedule.base_lr
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.schedule.lr(min(step // per_epoch, t.epochs - 1)) / base)
        return hf_trainer.build(self, optimizer, scheduler, {
            "output_dir": str(Path(self.output_dir, ".transformers")), "num_train_epochs": t.epochs, "per_device_train_batch_size": t.batch_size,
            "seed": t.seed, "data_seed": t.seed, "dataloader_num_workers": t.num_workers, "dataloader_drop_last": drop,
            "gradient_accumulation_steps": accumulation, "max_grad_norm": float(config.get("gradient_clip_value", 0.0)),
            "label_smoothing_factor": float(config.get("label_smoothing", 0.0)), "use_cpu": t.device == "cpu",
            "bf16": bool(config.get("mixed_precision", False)) and t.device.startswith("cuda"),
            "save_strategy": "no", "eval_strategy": "no", "logging_strategy": "no", "report_to": "none", "disable_tqdm": True,
            "remove_unused_columns": False, "dataloader_pin_memory": t.device != "cpu", "accelerator_config": {"use_seedable_sampler": False},
        }, patience=int(config.get("early_stopping", {}).get("patience", 0)))

    # -- training ----------------------------------------------------------------

    def train(self, start_epoch: int = 0, checkpoint_path: Optional[str] = None,
              resume_training: bool = False) -> List[MetricsResult]:
        import torch

        self.prepare_dataset()
        for split, images in (("train", self.train_set), ("val", self.other_sets.get("val"))):
            if not images:
                raise AdapterError(f"dataset {self.dataset_config.dataset_path} has no {split} images")
        self.prepare_model()
        if checkpoint_path and not resume_training:
            self.model.load_state_dict(torch.load(checkpoint_path, map_location="cpu", weights_only=True)["model_state_dict"])
        self.trainer = self.build_trainer()
        return self.trainer.run(checkpoint_path if resume_training else None)

    def save_on_stop(self) -> None:
        """Writes ``latest`` where training stands, in the middle of an epoch."""
        if hasattr(self, "trainer"):
            self.trainer.save_between()

    def applied_config(self) -> dict[str, Any]:
        """Read back from the Trainer's optimizer, scheduler, arguments and data, and from the model's configuration."""
        trainer, args = self.trainer, self.trainer.args
        optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
        group, kind, schedule = optimizer.param_groups[0], type(optimizer).__name__.lower(), self.schedule
        rate = trainer.lr_scheduler_of().base_lrs[0]
        out: dict[str, Any] = {
            "optimizer.type": kind, "optimizer.learning_rate": rate, "optimizer.weight_decay": group["weight_decay"],
            "scheduler.type": schedule.type, "scheduler.warmup_epochs": schedule.warmup_epochs,
            "mixed_precision": bool(args.bf16 or args.fp16), "gradient_clip_value": args.max_grad_norm,
            "gradient_accumulation": args.gradient_accumulation_steps, "early_stopping.patience": trainer.reporter.patience,
            "drop_last": trainer.get_train_dataloader().batch_sampler.drop_last, "seed": args.seed, "device": args.device.type}
        if kind == "sgd":
            out |= {"optimizer.momentum": group["momentum"], "optimizer.nesterov": group["nesterov"]}
        else:
            out |= {"optimizer.beta1": group["betas"][0], "optimizer.beta2": group["betas"][1], "optimizer.eps": group["eps"]}
        if schedule.type == "cosine":
            out |= {"scheduler.T_max": schedule.T_max, "scheduler.eta_min": schedule.eta_min}
        elif schedule.type == "step":
            out |= {"scheduler.step_size": schedule.step_size, "scheduler.gamma": schedule.gamma}
        if self.detects:
            c = self.model.config
            out |= {"loss.bbox": c.bbox_loss_coefficient, "loss.giou": c.giou_loss_coefficient, "loss.background": c.eos_coefficient,
                    "queries": getattr(c, "num_detection_tokens", None) or c.num_queries}
        else:
            out["label_smoothing"] = trainer.label_smoother.epsilon if trainer.label_smoother else 0.0
        on = self.augmentation["enabled"]  # what lies below it counts only then
        return out | {f"augmentation.{k}": v for k, v in self.augmentation.items() if on or k == "enabled"}

    # -- after training ----------------------------------------------------------

    def restore(self, checkpoint_path: str) -> Any:
        """The network of a checkpoint, for measuring."""
        import torch

        state = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        about = (state.get("extra") or {}).get("model")
        if not about:
            raise AdapterError(f"{checkpoint_path} is no checkpoint of the transformers adapter")
        self.model_config.pretrained, self.model_config.weights = False, None
        self.model_config.model_name, self.model_config.image_size = about["name"], about["image_size"]
        self.dataset_config.classes = self.dataset_config.classes or about["classes"]
        self.training_config.batch_size = about.get("batch_size", self.training_config.batch_size)  # losses are means over batches
        self.training_config.advanced_config = about["config"]  # the parts of the model, and the weights of its loss
        self.prepare_model()
        self.model.load_state_dict(state["model_state_dict"])
        return self.model.to(self.training_config.device).eval()

    def evaluate(self, checkpoint_path: str, split: str) -> dict[str, Any]:
        from . import hf_trainer

        self.prepare_dataset()
        if not self.other_sets.get(split):
            raise AdapterError(f"dataset {self.dataset_config.dataset_path} has no {split} images")
        model = self.restore(checkpoint_path)
        return hf_trainer.measure(model, self.other_sets[split], self.dataset_config.classes, self.training_config.batch_size)

    def export_onnx(self, checkpoint_path: str, path: str) -> dict[str, Any]:
        """Input ``input`` (N, 3, size, size); output ``logits`` (N, classes), or for
        detection ``logits`` (N, queries, classes + 1) and ``boxes`` (N, queries, 4)
        of centre, width and height as shares of the image."""
        import torch

        from . import hf_trainer

        self.training_config.device = "cpu"
        model = self.restore(checkpoint_path)
        network = hf_trainer.Outputs(model, self.detects).eval()
        size = self.model_config.image_size
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
        names = ["logits", "boxes"] if self.detects else ["logits"]
        with torch.no_grad():
            expected = network(images)
            torch.onnx.export(network, (images,), path, input_names=["input"], output_names=names, opset_version=18, dynamo=False,
                              dynamic_axes={n: {0: "N"} for n in ["input", *names]})
        return {"input": "float32 NCHW RGB, (pixel/255 - mean)/std", "image_size": size, "classes": self.dataset_config.classes,
                "mean": list(self.mean), "std": list(self.std), "parity": (images, list(expected) if self.detects else [expected])}


def _offline() -> None:
    """Before the framework is imported: no hub, no telemetry."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
