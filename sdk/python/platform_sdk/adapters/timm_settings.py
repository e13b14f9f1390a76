"""The timm adapter's settings beyond the classification loop's: timm's own
transforms, mixing of images, schedules and drop rates. Each is built from the
settings here, and read back here from what was built.
"""

from __future__ import annotations

from typing import Any, Optional

from ..config import ConfigField, ConfigSchema
from ..loading import SettingError
from ..training import Schedule, standard_schema

_SCHEDULES = ("poly", "tanh", "wsd")
_POLICIES = ("randaugment", "autoaugment", "augmix", "3augment")
_MIXES = ("mixup", "cutmix", "both")
_FILLS = ("const", "rand", "pixel")


def schema() -> ConfigSchema:
    """The classification loop's settings with timm's among them; all are off unless asked for."""
    def field(name: str, type: str, default: Any, description: str, label: str, condition: Any = None, **more: Any) -> ConfigField:
        group = {"augmentation": "Augmentation", "scheduler": "Scheduler", "mixup": "Mixup"}.get(name.split(".")[0], "Training")
        control = {"field": condition[0], "value": condition[1]} if condition else None
        return ConfigField(name=name, type=type, default=default, description=description, label=label, group=group, resume="apply", condition=control, **more)

    def option(value: str, label: str, description: str) -> dict[str, str]:
        return {"value": value, "label": label, "description": description}

    on = ("augmentation.enabled", True)
    mixed, erased = ("mixup.type", list(_MIXES)), ("augmentation.erasing_mode", list(_FILLS))
    own = [
        field("scheduler.power", "number", 1.0, "Exponent of the polynomial: 1 falls in a line.", "Power", ("scheduler.type", "poly"), min=0.05, max=10, step=0.1),
        field("scheduler.decay_epochs", "integer", None, "Epochs of the fall at the end of T_max; the first still has the base rate. Unset means a fifth of T_max, and at least two.",
              "Decay", ("scheduler.type", "wsd"), unit="epochs", min=2, max=100000, step=1),
        field("scheduler.decay_shape", "select", "1-sqrt", "How the rate falls at the end.", "Decay shape", ("scheduler.type", "wsd"), options=[
            option("1-sqrt", "1 - sqrt", "Steep at first"), option("linear", "Linear", "In a line"), option("cosine", "Cosine", "Along half a cosine")]),
        field("augmentation.random_resized_crop", "number", 0.0, "Cut out a random part of at least this share of the image, with sides of 3:4 to 4:3, "
              "and resize it, in place of resizing the whole. 0 is off.", "Random resized crop", on, min=0, max=1, step=0.05),
        field("augmentation.random_vertical_flip", "boolean", False, "Mirror half of the images top to bottom.", "Random vertical flip", on),
        field("augmentation.policy", "select", "none", "Automatic augmentation: operations on colour and shape, drawn at random for each image.",
              "Automatic augmentation", on, options=[
                  option("none", "None", "No automatic augmentation"),
                  option("randaugment", "RandAugment", "A number of operations at one magnitude (Cubuk et al., 2019)"),
                  option("autoaugment", "AutoAugment", "Pairs of operations that were learned on ImageNet (Cubuk et al., 2018)"),
                  option("augmix", "AugMix", "Chains of operations mixed with the image (Hendrycks et al., 2019)"),
                  option("3augment", "3-Augment", "One of solarise, grey and blur (Touvron et al., 2022)")]),
        field("augmentation.magnitude", "integer", 9, "Strength of the operations.", "Magnitude", ("augmentation.policy", "randaugment"), min=0, max=10, step=1),
        field("augmentation.magnitude_std", "number", 0.5, "Standard deviation of the strength from image to image.", "Magnitude deviation",
              ("augmentation.policy", "randaugment"), min=0, max=10, step=0.5),
        field("augmentation.operations", "integer", 2, "Operations on each image.", "Operations", ("augmentation.policy", "randaugment"), min=1, max=10, step=1),
        field("augmentation.severity", "integer", 3, "Greatest strength of the operations.", "Severity", ("augmentation.policy", "augmix"), min=0, max=10, step=1),
        field("augmentation.chains", "integer", 3, "Chains of operations that are mixed.", "Chains", ("augmentation.policy", "augmix"), min=1, max=10, step=1),
        field("augmentation.erasing_mode", "select", "none", "Erase random rectangles of the normalised image (Zhong et al., 2017).", "Random erasing", on, options=[
            option("none", "None", "Nothing is erased"), option("const", "Constant", "The mean colour"),
            option("rand", "One colour", "A random colour for each rectangle"), option("pixel", "Noise", "A random colour for each pixel")]),
        field("augmentation.erasing", "number", 0.25, "Probability that an image has rectangles erased.", "Erasing probability", erased, min=0, max=1, step=0.05),
        field("augmentation.erasing_count", "integer", 1, "Most rectangles in an image; they share the area that one would have.", "Erased rectangles", erased,
              min=1, max=16, step=1),
        field("mixup.type", "select", "none", "Train on mixed images, with the classes' shares as the target.", "Mix images", options=[
            option("none", "None", "Images stay as they are"), option("mixup", "Mixup", "Blend two images (Zhang et al., 2017)"),
            option("cutmix", "CutMix", "Paste a rectangle of one into another (Yun et al., 2019)"), option("both", "Both", "One or the other, at random")]),
        field("mixup.alpha", "number", 0.8, "Both parameters of the beta distribution that the share of a blended image is drawn from.", "Mixup alpha",
              ("mixup.type", ["mixup", "both"]), min=0.01, max=10, step=0.1),
        field("mixup.cutmix_alpha", "number", 1.0, "Both parameters of the beta distribution that the share of a pasted rectangle is drawn from.", "CutMix alpha",
              ("mixup.type", ["cutmix", "both"]), min=0.01, max=10, step=0.1),
        field("mixup.probability", "number", 1.0, "Probability that a batch (or pair, or image) is mixed.", "Probability", mixed, min=0, max=1, step=0.05),
        field("mixup.switch_probability", "number", 0.5, "Probability of CutMix, else Mixup.", "CutMix instead", ("mixup.type", "both"), min=0, max=1, step=0.05),
        field("mixup.mode", "select", "batch", "What is drawn for.", "Mode", mixed, options=[
            option("batch", "Batch", "One share for a whole batch"), option("pair", "Pair", "One for each pair of images"), option("elem", "Image", "One for each image")]),
        field("mixup.off_epoch", "integer", 0, "Epochs after which images are mixed no more. 0 mixes to the end.", "Off after", mixed, unit="epochs",
              min=0, max=100000, step=1),
        field("drop_rate", "number", None, "Dropout before the classifier. Unset means the model's own.", "Dropout", min=0, max=0.99, step=0.05),
        field("drop_path_rate", "number", None, "Stochastic depth: the share of a batch's images that skip a block, rising to this in the last one. "
              "Unset means the model's own.", "Stochastic depth", min=0, max=0.99, step=0.05),
    ]
    fields = standard_schema().fields
    for f in fields:
        if f.name == "scheduler.type":
            f.options = [*(f.options or []),
                         option("poly", "Polynomial", "Falls to eta_min in T_max epochs along a polynomial"),
                         option("tanh", "Hyperbolic tangent", "Stays high, falls and stays low, in T_max epochs (Hsueh et al., 2018)"),
                         option("wsd", "Warm-up, stable, decay", "Stays at the base rate and falls to eta_min at the end of T_max (Hu et al., 2024)")]
        elif f.name in ("scheduler.T_max", "scheduler.eta_min"):
            f.condition = {"field": "scheduler.type", "value": ["cosine", *_SCHEDULES]}
            f.description = f.description.replace("bottom of the cosine", "bottom of the schedule")
    groups = list(dict.fromkeys([f.group for f in fields if f.group != "Training"] + ["Mixup", "Training"]))
    return ConfigSchema(fields=sorted(fields + own, key=lambda f: groups.index(f.group)))


class TimmSchedule(Schedule):
    """poly, tanh and wsd are timm's own schedulers; warm-up is the loop's."""

    def __init__(self, config: dict[str, Any], epochs: int, base_lr: float) -> None:
        if config.get("type") not in _SCHEDULES:
            super().__init__(config, epochs, base_lr)
            return
        import torch
        from timm import scheduler as timm

        super().__init__({"type": "none", "warmup_epochs": config.get("warmup_epochs", 0)}, epochs, base_lr)
        self.type = config["type"]
        length, lowest = config.get("T_max") or epochs, config.get("eta_min", 0.0)
        self._rate = torch.optim.SGD([torch.zeros(1)], lr=base_lr)  # timm's schedulers write into an optimizer
        if self.type == "poly":
            self.timm: Any = timm.PolyLRScheduler(self._rate, length, power=config.get("power", 1.0), lr_min=lowest)
        elif self.type == "tanh":
            self.timm = timm.TanhLRScheduler(self._rate, length, lr_min=lowest)
        else:
            decay = config.get("decay_epochs") or min(length, max(2, length // 5))
            if decay > length:
                raise SettingError(f"scheduler.decay_epochs is {decay}, longer than the schedule of {length} epochs; lower it, or raise scheduler.T_max")
            self.timm = timm.WSDLRScheduler(self._rate, length, decay, lr_min=lowest, decay_fn=config.get("decay_shape", "1-sqrt"))

    def lr(self, epoch: int) -> float:
        if self.type not in _SCHEDULES or epoch < self.warmup_epochs:
            return super().lr(epoch)
        self.timm.step(epoch)
        return float(self._rate.param_groups[0]["lr"])

    def applied(self) -> dict[str, Any]:
        """Read back from timm's scheduler; nothing for the loop's own."""
        if self.type not in _SCHEDULES:
            return {}
        t = self.timm
        out = {"scheduler.T_max": t.t_initial, "scheduler.eta_min": t.lr_min}
        if self.type == "poly":
            out["scheduler.power"] = t.power
        if self.type == "wsd":
            out |= {"scheduler.decay_epochs": t.decay_t, "scheduler.decay_shape": t.decay_fn}
        return out


def augment(steps: list[Any], resizing: int, config: dict[str, Any], size: int, mean: tuple[float, ...], interpolation: str) -> list[Any]:
    """The loop's transforms, of which the first ``resizing`` resize and the last two
    make a normalised tensor, with timm's among them, in the order of
    ``timm.data.transforms_imagenet_train``."""
    from timm.data.random_erasing import RandomErasing
    from timm.data.transforms import RandomResizedCropAndInterpolation
    from torchvision import transforms as T

    first, middle, last = steps[:resizing], steps[resizing:-2], steps[-2:]
    if share := config.get("random_resized_crop", 0.0):
        first = [RandomResizedCropAndInterpolation(size, scale=(share, 1.0), interpolation=interpolation)]
    if config.get("random_vertical_flip", False):
        middle.append(T.RandomVerticalFlip())
    policy = config.get("policy", "none")
    if policy != "none":
        middle.append(_policy(policy, config, size, mean, interpolation))
    mode = config.get("erasing_mode", "none")
    if mode != "none":
        last.append(RandomErasing(config.get("erasing", 0.25), mode=mode, max_count=config.get("erasing_count", 1), device="cpu"))
    return first + middle + last


def _policy(policy: str, config: dict[str, Any], size: int, mean: tuple[float, ...], interpolation: str) -> Any:
    from timm.data import auto_augment as timm
    from timm.data.transforms import str_to_pil_interp

    params = {"translate_const": int(size * 0.45), "img_mean": tuple(min(255, round(255 * x)) for x in mean), "interpolation": str_to_pil_interp(interpolation)}
    if policy == "randaugment":
        m, std, n = config.get("magnitude", 9), config.get("magnitude_std", 0.5), config.get("operations", 2)
        return _posterizing(timm.rand_augment_transform(f"rand-m{m}-n{n}-mstd{std}-inc1", params))
    if policy == "augmix":
        return _posterizing(timm.augment_and_mix_transform(f"augmix-m{config.get('severity', 3)}-w{config.get('chains', 3)}", params | {"translate_pct": 0.3}))
    return timm.auto_augment_transform("3a" if policy == "3augment" else "original", params)


def _posterizing(policy: Any) -> Any:
    """At full strength timm keeps 0 bits of a colour, which Pillow refuses from 13 on: here it is one."""
    for operation in policy.ops:
        if operation.name.startswith("Posterize"):
            operation.aug_fn = _posterize
    return policy


def _posterize(image: Any, bits: int, **_: Any) -> Any:
    from timm.data.auto_augment import posterize

    return posterize(image, max(1, bits))


def augmented(transforms: list[Any]) -> dict[str, Any]:
    """Read back from the transforms that were built."""
    by = {type(step).__name__: step for step in transforms}
    crop, erasing = by.get("RandomResizedCropAndInterpolation"), by.get("RandomErasing")
    out: dict[str, Any] = {"random_resized_crop": crop.scale[0] if crop else 0.0, "random_vertical_flip": "RandomVerticalFlip" in by, "policy": "none"}
    if rand := by.get("RandAugment"):
        out |= {"policy": "randaugment", "magnitude": rand.ops[0].magnitude, "magnitude_std": rand.ops[0].magnitude_std, "operations": rand.num_layers}
    elif mix := by.get("AugMixAugment"):
        out |= {"policy": "augmix", "severity": mix.ops[0].magnitude, "chains": mix.width}
    elif auto := by.get("AutoAugment"):
        out["policy"] = "3augment" if any(op.name == "Desaturate" for ops in auto.policy for op in ops) else "autoaugment"
    out["erasing_mode"] = "none" if not erasing else erasing.mode
    if erasing:
        out |= {"erasing": erasing.probability, "erasing_count": erasing.max_count}
    return {f"augmentation.{name}": value for name, value in out.items()}


def mixer(config: dict[str, Any], classes: int) -> Optional[Any]:
    """timm's Mixup as the settings ask for it, or None. Smoothing of labels is the loss's."""
    kind = config.get("type", "none")
    if kind == "none":
        return None
    from timm.data import Mixup

    made = Mixup(mixup_alpha=config.get("alpha", 0.8) if kind != "cutmix" else 0.0, cutmix_alpha=config.get("cutmix_alpha", 1.0) if kind != "mixup" else 0.0,
                 prob=config.get("probability", 1.0), switch_prob=config.get("switch_probability", 0.5) if kind == "both" else 0.5,
                 mode=config.get("mode", "batch"), label_smoothing=0.0, num_classes=classes)
    made.off_epoch = config.get("off_epoch", 0)
    return made


def mix(mixup: Any, images: Any, labels: Any, epoch: int) -> tuple[Any, Any]:
    """A batch as timm's Mixup makes it; timm takes even batches only, so of an
    odd one the last image stays as it is."""
    import torch
    from timm.data.mixup import mixup_target

    mixup.mixup_enabled = not mixup.off_epoch or epoch < mixup.off_epoch
    even = len(labels) // 2 * 2
    rest = mixup_target(labels[even:], mixup.num_classes)
    if not even:
        return images, rest
    first, targets = mixup(images[:even], labels[:even])
    return torch.cat([first, images[even:]]), torch.cat([targets, rest])


def mixed(mixup: Optional[Any]) -> dict[str, Any]:
    """Read back from timm's Mixup."""
    if mixup is None:
        return {"mixup.type": "none"}
    a, c = mixup.mixup_alpha, mixup.cutmix_alpha
    out = {"type": "both" if a and c else "mixup" if a else "cutmix", "probability": mixup.mix_prob, "mode": mixup.mode, "off_epoch": mixup.off_epoch}
    out |= ({"alpha": a} if a else {}) | ({"cutmix_alpha": c} if c else {}) | ({"switch_probability": mixup.switch_prob} if a and c else {})
    return {f"mixup.{name}": value for name, value in out.items()}


def drop_rates(config: dict[str, Any]) -> dict[str, float]:
    """The rates that were asked for, as timm's models take them."""
    return {name: config[name] for name in ("drop_rate", "drop_path_rate") if config.get(name) is not None}


def dropped(model: Any, asked: dict[str, float]) -> dict[str, float]:
    """The rates that were asked for and that the model's layers have. A rate that none has is an error."""
    import torch

    modules = list(model.modules())
    heads = [float(getattr(m, "drop_rate", 0.0) or 0.0) for m in modules] + [m.p for m in modules if isinstance(m, torch.nn.Dropout)]
    paths = [m.drop_prob or 0.0 for m in modules if type(m).__name__.startswith("DropPath")]
    for name, rate in asked.items():
        # Blocks take a rising part of the path's rate, some models' last one a little less than all of it.
        there = any(abs(p - rate) < 1e-6 for p in heads) if name == "drop_rate" else any(0 < p <= rate + 1e-6 for p in paths)
        if rate and not there:
            raise SettingError(f"{name} = {rate} comes to nothing: {type(model).__name__} has no layer that takes it; leave it out")
    return asked
