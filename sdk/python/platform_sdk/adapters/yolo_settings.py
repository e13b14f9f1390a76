"""The settings of the ultralytics adapter: schema, the framework's arguments, and reading back what was built."""

from __future__ import annotations

import math
from typing import Any

from ..config import ConfigField, ConfigSchema
from ..loading import SettingError

_BOXES = ("object_detection", "instance_segmentation", "pose_estimation")
# The framework's optimizer "auto" is left out: it would replace the learning rate that was asked for.
_OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam", "rmsprop": "RMSProp",
               "sgd": "SGD", "musgd": "MuSGD"}
# Our names to the framework's arguments, where a value goes over as it is.
_ARGUMENTS = {
    "optimizer.weight_decay": "weight_decay", "optimizer.momentum": "momentum",
    "scheduler.warmup_epochs": "warmup_epochs", "scheduler.warmup_momentum": "warmup_momentum", "scheduler.warmup_bias_lr": "warmup_bias_lr",
    "loss.box": "box", "loss.cls": "cls", "loss.dfl": "dfl", "loss.pose": "pose", "loss.kobj": "kobj", "loss.class_weight_power": "cls_pw",
    "augmentation.hsv_h": "hsv_h", "augmentation.hsv_s": "hsv_s", "augmentation.hsv_v": "hsv_v", "augmentation.rotation": "degrees",
    "augmentation.translate": "translate", "augmentation.scale": "scale", "augmentation.shear": "shear",
    "augmentation.perspective": "perspective", "augmentation.flipud": "flipud", "augmentation.fliplr": "fliplr", "augmentation.bgr": "bgr",
    "augmentation.mosaic": "mosaic", "augmentation.close_mosaic": "close_mosaic", "augmentation.mixup": "mixup",
    "augmentation.cutmix": "cutmix", "augmentation.copy_paste": "copy_paste", "augmentation.copy_paste_mode": "copy_paste_mode",
    "augmentation.multi_scale": "multi_scale", "augmentation.erasing": "erasing",
    "mask.overlap": "overlap_mask", "mask.ratio": "mask_ratio", "dropout": "dropout",
    "nominal_batch_size": "nbs", "mixed_precision": "amp", "single_class": "single_cls", "early_stopping.patience": "patience",
    "validation.iou": "iou", "validation.max_detections": "max_det",
}

# What the framework ends with the last close_mosaic epochs.
_CLOSED = tuple(f"augmentation.{name}" for name in ("mosaic", "mixup", "cutmix", "copy_paste"))


def schema(task: str) -> ConfigSchema:
    """The settings for a task; each is handed to the framework and read back from what it built."""
    def field(name: str, type: str, default: Any, group: str, description: str, label: str = "", **more: Any) -> ConfigField:
        return ConfigField(name=name, type=type, default=default, group=group, description=description, resume=more.pop("resume", "apply"),
                           label=label or name.split(".")[-1].replace("_", " ").capitalize(), **more)

    def share(name: str, default: float, description: str, **more: Any) -> ConfigField:
        return field(f"augmentation.{name}", "number", default, "Augmentation", description, **({"min": 0, "max": 1, "step": 0.05} | more))

    falling = {"field": "scheduler.type", "value": ["cosine", "linear"]}
    fields = [
        field("optimizer.type", "select", "adamw", "Optimizer", "Update rule for the weights.", options=list(_OPTIMIZERS), resume="reset"),
        field("optimizer.learning_rate", "number", 1e-3, "Optimizer", "Base learning rate, which the scheduler scales.", min=1e-9, max=10, step=1e-4),
        field("optimizer.weight_decay", "number", 5e-4, "Optimizer", "Pull of every weight towards zero, for a batch of the nominal size.",
              min=0, max=1, step=1e-4),
        field("optimizer.momentum", "number", 0.937, "Optimizer", "Momentum of SGD and RMSProp, first beta of Adam and its kin.",
              min=0, max=0.9999, step=0.01),
        field("scheduler.type", "select", "cosine", "Scheduler", "How the learning rate changes from epoch to epoch.",
              options=["cosine", "linear", "none"]),
        field("scheduler.eta_min", "number", 1e-5, "Scheduler", "Learning rate at the end of training.", "Minimum learning rate",
              min=0, max=1, step=1e-6, condition=falling),
        field("scheduler.warmup_epochs", "number", 0.0, "Scheduler", "First epochs in which the rate rises from zero; fractions count.",
              "Warm-up", unit="epochs", min=0, max=1000, step=0.5),
        field("scheduler.warmup_momentum", "number", 0.8, "Scheduler", "Momentum at the start of the warm-up, for optimizers that have one.",
              min=0, max=0.9999, step=0.01),
        field("scheduler.warmup_bias_lr", "number", 0.0, "Scheduler", "Learning rate of biases at the start of the warm-up.", min=0, max=1, step=0.01),
        share("hsv_h", 0.015, "Change of hue, as a share of the circle.", label="Hue", max=0.5, step=0.005),
        share("hsv_s", 0.7, "Change of saturation.", label="Saturation"),
        share("hsv_v", 0.4, "Change of brightness.", label="Brightness"),
        share("scale", 0.5, "Change of size: boxes grow or shrink by up to this share; classification crops down to the rest."),
        share("flipud", 0.0, "Probability of a flip upside down.", label="Flip upside down"),
        share("fliplr", 0.5, "Probability of a flip left to right.", label="Flip left to right"),
        field("nominal_batch_size", "integer", 64, "Training", "Gradients of batches are summed up to about this many images before an update.",
              unit="images", min=1, max=65536, step=1),
        field("mixed_precision", "boolean", False, "Training", "Compute in half precision where the device has it.", devices=["cuda"]),
        field("early_stopping.patience", "integer", 0, "Training", "Stop after this many epochs without a better monitored metric. 0 is off.",
              "Early stopping patience", unit="epochs", min=0, max=100000, step=1),
        field("single_class", "boolean", False, "Training", "Take all objects as one class.", resume="forbid"),
    ]
    if task == "image_classification":
        fields.remove(next(f for f in fields if f.name == "single_class"))
        for colour in (f for f in fields if f.name.startswith("augmentation.hsv_")):
            colour.condition = {"field": "augmentation.policy", "value": "none"}
        return ConfigSchema(fields=fields + [
            field("augmentation.policy", "select", "none", "Augmentation", "Automatic augmentation, which takes the place of hue, saturation and brightness.",
                  options=["none", "randaugment", "autoaugment", "augmix"]),
            share("erasing", 0.0, "Probability that a random rectangle is erased."),
            field("dropout", "number", 0.0, "Training", "Dropout before the classifier.", min=0, max=0.99, step=0.05),
        ])
    fields += [
        field("augmentation.rotation", "number", 0.0, "Augmentation", "Turn by a random angle of at most this much to either side.",
              "Random rotation", unit="degrees", min=0, max=180, step=1),
        share("translate", 0.1, "Move by at most this share of the image."),
        field("augmentation.shear", "number", 0.0, "Augmentation", "Shear by a random angle of at most this much.", unit="degrees", min=0, max=180, step=1),
        share("perspective", 0.0, "Random perspective.", max=0.001, step=1e-4),
        share("bgr", 0.0, "Probability that red and blue change places.", label="Swap red and blue"),
        share("mosaic", 1.0, "Probability that four images are joined to one."),
        field("augmentation.close_mosaic", "integer", 10, "Augmentation", "Last epochs without mosaic, mixup, cutmix and copy-paste.",
              "Close mosaic", unit="epochs", min=0, max=100000, step=1),
        share("mixup", 0.0, "Probability that two images are blended."),
        share("cutmix", 0.0, "Probability that a part of one image covers another's."),
        share("multi_scale", 0.0, "Change of the input size from batch to batch, as a share of it.", max=0.9),
        field("loss.box", "number", 7.5, "Loss", "Weight of the boxes' overlap.", "Box", min=0, max=1000, step=0.5),
        field("loss.cls", "number", 0.5, "Loss", "Weight of the classes.", "Class", min=0, max=1000, step=0.1),
        field("loss.dfl", "number", 1.5, "Loss", "Weight of the boxes' edges (distribution focal loss).", "Edges", min=0, max=1000, step=0.1),
        field("loss.class_weight_power", "number", 0.0, "Loss", "Weight of rare classes: inverse frequency to this power. 0 is off.", min=0, max=1, step=0.1),
        field("validation.iou", "number", 0.7, "Validation", "Overlap above which the weaker of two detections is dropped.", "Suppression overlap",
              min=0, max=1, step=0.05),
        field("validation.max_detections", "integer", 300, "Validation", "Detections kept of an image.", min=1, max=100000, step=10),
    ]
    if task == "instance_segmentation":
        fields += [
            share("copy_paste", 0.0, "Share of objects that are pasted into another place."),
            field("augmentation.copy_paste_mode", "select", "flip", "Augmentation", "Pasted from the mirrored image, or from another one.",
                  options=["flip", "mixup"]),
            field("mask.overlap", "boolean", True, "Loss", "Masks of one image share a plane, the smaller above.", "Overlapping masks"),
            field("mask.ratio", "integer", 4, "Loss", "Masks are learned this many times smaller.", "Mask ratio", min=1, max=32, step=1),
        ]
    if task == "pose_estimation":
        fields += [
            field("loss.pose", "number", 12.0, "Loss", "Weight of the keypoints' places.", "Keypoints", min=0, max=1000, step=0.5),
            field("loss.kobj", "number", 1.0, "Loss", "Weight of the keypoints' visibility.", "Visibility", min=0, max=1000, step=0.1),
        ]
    return ConfigSchema(fields=fields)


def presets(task: str) -> dict[str, Any]:
    """basic, standard and aggressive: more augmentation and longer warm-up from one to the next."""
    def preset(lr: float, decay: float, scheduler: dict[str, Any], augmentation: dict[str, Any], half: bool) -> dict[str, Any]:
        return {"optimizer": {"type": "adamw", "learning_rate": lr, "weight_decay": decay}, "scheduler": scheduler,
                "augmentation": augmentation, "mixed_precision": half}

    plain: dict[str, Any] = {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "fliplr": 0.5, "scale": 0.0}
    usual: dict[str, Any] = {"hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4, "fliplr": 0.5, "scale": 0.5}
    strong = usual | {"scale": 0.9}
    if task == "image_classification":
        usual, strong = usual | {"policy": "randaugment"}, strong | {"policy": "randaugment", "erasing": 0.4}
    else:
        plain |= {"mosaic": 0.0, "translate": 0.0}
        usual |= {"mosaic": 1.0, "translate": 0.1, "close_mosaic": 10}
        strong |= {"mosaic": 1.0, "translate": 0.2, "close_mosaic": 15, "mixup": 0.15, "rotation": 10.0}
    if task == "instance_segmentation":
        strong |= {"copy_paste": 0.3}
    return {
        "basic": preset(1e-3, 0.0, {"type": "none"}, plain, False),
        "standard": preset(1e-3, 5e-4, {"type": "cosine", "eta_min": 1e-5, "warmup_epochs": 1.0}, usual, True),
        "aggressive": preset(2e-3, 5e-4, {"type": "cosine", "eta_min": 1e-5, "warmup_epochs": 3.0}, strong, True),
    }


def arguments(task: str, config: dict[str, Any], learning_rate: float) -> dict[str, Any]:
    """The framework's arguments for a config nested by our names; what it leaves out has the schema's default."""
    def value(name: str, default: Any) -> Any:
        at: Any = config
        for part in name.split("."):
            if not isinstance(at, dict) or part not in at:
                return default
            at = at[part]
        return at

    values = {f.name: value(f.name, f.default) for f in schema(task).fields}
    lr = float(value("optimizer.learning_rate", learning_rate))
    kind = values["scheduler.type"]
    if kind != "none" and values["scheduler.eta_min"] > lr:
        raise SettingError(f"scheduler.eta_min = {values['scheduler.eta_min']} is above the learning rate, {lr}, from which the schedule comes down to it; "
                           "write less, or scheduler.type = \"none\"")
    out = {argument: values[name] for name, argument in _ARGUMENTS.items() if name in values}
    out |= {"optimizer": _OPTIMIZERS[values["optimizer.type"]], "lr0": lr, "cos_lr": kind == "cosine",
            "lrf": 1.0 if kind == "none" else float(values["scheduler.eta_min"]) / lr}
    for name in ("hsv_h", "hsv_s", "hsv_v", "scale"):
        out[name] = float(out[name])
    if task == "image_classification":
        policy = values["augmentation.policy"]
        out["auto_augment"] = None if policy == "none" else policy
    return out


def never_open(args: Any) -> str:
    """What to tell where mosaic and its kin are over before they begin; "" = nothing."""
    used = [name for name in _CLOSED if getattr(args, name.removeprefix("augmentation."))]
    if not args.close_mosaic or args.close_mosaic < args.epochs or not used:
        return ""
    return (f"{', '.join(used)}: not used, because the last {args.close_mosaic} epochs (augmentation.close_mosaic) go without and the training has {args.epochs}; "
            "lower augmentation.close_mosaic to have them")


def applied(task: str, trainer: Any) -> dict[str, Any]:
    """Our names with what stands in the objects that the trainer built."""
    from ultralytics.utils.torch_utils import unwrap_model

    optimizer, args = trainer.optimizer, trainer.args
    kind = {v.lower(): k for k, v in _OPTIMIZERS.items()}[type(optimizer).__name__.lower()]
    group = next(g for g in optimizer.param_groups if g.get("param_group") in ("weight", "muon"))
    bias = next(g for g in optimizer.param_groups if g.get("param_group") == "bias")
    lr = float(bias["initial_lr"])
    if kind == "musgd":  # heads learn three times as fast there
        lr = min(float(g["initial_lr"]) for g in optimizer.param_groups)
    # The framework scales the decay by how far the accumulated batch is from the nominal one.
    scale = trainer.batch_size * max(round(args.nbs / trainer.batch_size), 1) / args.nbs
    out: dict[str, Any] = {
        "optimizer.type": kind, "optimizer.learning_rate": lr, "optimizer.weight_decay": group["weight_decay"] / scale,
        "optimizer.momentum": group["betas"][0] if "betas" in group else group["momentum"],
        **_schedule(trainer, lr),
        "nominal_batch_size": args.nbs, "mixed_precision": bool(trainer.amp),
        "early_stopping.patience": 0 if math.isinf(trainer.stopper.patience) else int(trainer.stopper.patience),
    }
    if "momentum" in group and trainer._get_warmup_iterations(len(trainer.train_loader)):
        out["optimizer.momentum"] = args.momentum  # what the warm-up ends at, from its own start
    model = unwrap_model(trainer.model)
    if task == "image_classification":
        return out | _classification_transforms(trainer.train_loader.dataset.torch_transforms) | {
            "dropout": next((float(m.p) for m in model.modules() if type(m).__name__ == "Dropout"), 0.0)}
    dataset = trainer.train_loader.dataset
    criterion = getattr(model.criterion, "one2many", model.criterion)
    gains = criterion.hyp
    out |= _box_transforms(dataset.transforms, task) | {
        "augmentation.close_mosaic": args.close_mosaic, "augmentation.multi_scale": args.multi_scale, "single_class": dataset.single_cls,
        "loss.box": gains.box, "loss.cls": gains.cls, "loss.dfl": gains.dfl, "loss.class_weight_power": gains.cls_pw,
        "validation.iou": trainer.validator.args.iou, "validation.max_detections": trainer.validator.args.max_det}
    if never_open(args):
        out |= {name: 0.0 for name in _CLOSED if name in out}
    if task == "pose_estimation":
        out |= {"loss.pose": gains.pose, "loss.kobj": gains.kobj}
    return out


def _schedule(trainer: Any, lr: float) -> dict[str, Any]:
    """By the values of the schedule itself: at its end, and where cosine and line part."""
    end, early = float(trainer.lf(trainer.epochs)), float(trainer.lf(trainer.epochs / 4))
    out: dict[str, Any] = {
        "scheduler.warmup_epochs": trainer._get_warmup_iterations(len(trainer.train_loader)) / len(trainer.train_loader),
        "scheduler.warmup_momentum": trainer.args.warmup_momentum, "scheduler.warmup_bias_lr": trainer.args.warmup_bias_lr}
    if abs(out["scheduler.warmup_epochs"] - trainer.args.warmup_epochs) * len(trainer.train_loader) <= 0.5:
        out["scheduler.warmup_epochs"] = trainer.args.warmup_epochs  # rounded to whole batches
    if end == 1.0 and early == 1.0:
        return out | {"scheduler.type": "none"}
    line = 1 - (1 - end) / 4
    return out | {"scheduler.type": "linear" if abs(early - line) < 1e-9 else "cosine", "scheduler.eta_min": end * lr}


def _walk(transform: Any) -> list[Any]:
    inner = [t for part in getattr(transform, "transforms", None) or [] for t in _walk(part)] if not callable(getattr(transform, "apply", None)) or \
        hasattr(transform, "transforms") else []
    return [transform, *inner]


def _box_transforms(transforms: Any, task: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for t in _walk(transforms):
        name = type(t).__name__
        found.setdefault(f"{name}.{t.direction}" if name == "RandomFlip" else name, t)
    affine, hsv, form = found["RandomPerspective"], found["RandomHSV"], found["Format"]
    out = {
        "augmentation.mosaic": found["Mosaic"].p, "augmentation.mixup": found["MixUp"].p, "augmentation.cutmix": found["CutMix"].p,
        "augmentation.hsv_h": hsv.hgain, "augmentation.hsv_s": hsv.sgain, "augmentation.hsv_v": hsv.vgain,
        "augmentation.rotation": affine.degrees, "augmentation.translate": affine.translate, "augmentation.scale": affine.scale,
        "augmentation.shear": affine.shear, "augmentation.perspective": affine.perspective,
        "augmentation.flipud": found["RandomFlip.vertical"].p, "augmentation.fliplr": found["RandomFlip.horizontal"].p,
        "augmentation.bgr": form.bgr}
    if task == "instance_segmentation":
        out |= {"augmentation.copy_paste": found["CopyPaste"].p, "augmentation.copy_paste_mode": found["CopyPaste"].mode,
                "mask.overlap": form.mask_overlap, "mask.ratio": form.mask_ratio}
    return out


def _classification_transforms(transforms: Any) -> dict[str, Any]:
    by = {type(t).__name__: t for t in transforms.transforms}
    policy = next((p for p, cls in (("randaugment", "RandAugment"), ("autoaugment", "AutoAugment"), ("augmix", "AugMix")) if cls in by), "none")
    out = {
        "augmentation.scale": 1.0 - by["RandomResizedCrop"].scale[0], "augmentation.policy": policy,
        "augmentation.fliplr": by["RandomHorizontalFlip"].p if "RandomHorizontalFlip" in by else 0.0,
        "augmentation.flipud": by["RandomVerticalFlip"].p if "RandomVerticalFlip" in by else 0.0,
        "augmentation.erasing": by["RandomErasing"].p}
    if policy == "none":
        out |= _jitter(by["ColorJitter"])
    return out


def _jitter(jitter: Any) -> dict[str, float]:
    """torchvision keeps ranges around 1 (hue: around 0), or None for no change."""
    return {"augmentation.hsv_h": float(jitter.hue[1]) if jitter.hue else 0.0,
            "augmentation.hsv_s": float(jitter.saturation[1]) - 1 if jitter.saturation else 0.0,
            "augmentation.hsv_v": float(jitter.brightness[1]) - 1 if jitter.brightness else 0.0}
