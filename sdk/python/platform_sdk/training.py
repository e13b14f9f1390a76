"""What every torch adapter would write again: seeding, optimizers and schedules
from the schema's names, precision, clipping, accumulation, moving averages, and
a micro-batch that halves when memory runs out.

torch is imported by the functions that need it.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
from typing import Any, Callable, Iterator, Optional

from .config import ConfigField, ConfigSchema
from .rng import permutation


def seed_everything(seed: int) -> None:
    """Seeds Python's, numpy's and torch's generators and asks torch for
    deterministic kernels where they exist."""
    import torch

    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        import numpy

        numpy.random.seed(seed % 2**32)
    except ImportError:
        pass


@contextlib.contextmanager
def draws_of(*key: int) -> Iterator[None]:
    """What Python's, numpy's and torch's generators (the CPU's) give inside is a
    function of the key; outside they go on as if nothing had been drawn.

    >>> with draws_of(7, 0, 3):
    ...     a = random.random()
    >>> with draws_of(7, 0, 3):
    ...     a == random.random()
    True
    """
    import numpy
    import torch

    # torch.manual_seed would seed every device, and a copy of numpy's state takes longer than a small image.
    draw, cpu = hash(key) % 2**63, torch.default_generator
    python, tensors, numbers = random.getstate(), cpu.get_state(), numpy.random.get_bit_generator()
    random.seed(draw)
    cpu.manual_seed(draw)
    numpy.random.set_bit_generator(numpy.random.PCG64(draw))
    try:
        yield
    finally:
        random.setstate(python)
        cpu.set_state(tensors)
        numpy.random.set_bit_generator(numbers)


def make_optimizer(parameters: Any, config: dict[str, Any], learning_rate: float) -> Any:
    """adam, adamw or sgd by the schema's names (``type``, ``learning_rate``,
    ``weight_decay``, ``momentum``, ``nesterov``, ``beta1``, ``beta2``, ``eps``)."""
    import torch

    kind = config.get("type", "adamw")
    lr = config.get("learning_rate", learning_rate)
    decay = config.get("weight_decay", 0.0)
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=config.get("momentum", 0.9),
                               nesterov=config.get("nesterov", False))
    if kind in ("adam", "adamw"):
        cls = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
        return cls(parameters, lr=lr, weight_decay=decay, eps=config.get("eps", 1e-8),
                   betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)))
    raise ValueError(f"optimizer {kind!r} is none of adam, adamw, sgd")


class Schedule:
    """Learning rate by epoch: cosine, step or none, after a linear warm-up.

    ``factor(epoch)`` is what the base rate is multiplied by in an epoch counted
    from 0; cosine and step are torch's closed forms.
    """

    def __init__(self, config: dict[str, Any], epochs: int, base_lr: float) -> None:
        self.type = config.get("type", "none")
        if self.type not in ("cosine", "step", "none"):
            raise ValueError(f"scheduler {self.type!r} is none of cosine, step, none")
        self.base_lr = base_lr
        self.T_max = config.get("T_max") or epochs if self.type == "cosine" else epochs
        self.eta_min = config.get("eta_min", 0.0) if self.type == "cosine" else 0.0
        self.step_size = config.get("step_size", 30) if self.type == "step" else 0
        self.gamma = config.get("gamma", 0.1) if self.type == "step" else 1.0
        self.warmup_epochs = config.get("warmup_epochs", 0)

    def lr(self, epoch: int) -> float:
        """The learning rate in force in an epoch counted from 0."""
        if epoch < self.warmup_epochs:
            return self.base_lr * (epoch + 1) / (self.warmup_epochs + 1)
        if self.type == "cosine":
            return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2
        if self.type == "step":
            return self.base_lr * self.gamma ** (epoch // self.step_size)
        return self.base_lr

    def apply(self, optimizer: Any, epoch: int) -> float:
        """Sets the rate of every parameter group, keeping their ratios."""
        value = self.lr(epoch)
        for group in optimizer.param_groups:
            group["lr"] = value * group.get("lr_scale", 1.0)
        return value


class EMA:
    """Exponential moving average of a model's weights and buffers. It starts at
    the first updated weights, as torch's AveragedModel does."""

    def __init__(self, model: Any, decay: float) -> None:
        self.decay, self.started = decay, False
        self.model = copy.deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def update(self, model: Any) -> None:
        import torch

        with torch.no_grad():
            for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values()):
                if mine.dtype.is_floating_point and self.started:
                    mine.mul_(self.decay).add_(theirs.detach(), alpha=1 - self.decay)
                else:
                    mine.copy_(theirs)
        self.started = True

    def state_dict(self) -> dict[str, Any]:
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state)
        self.started = True


class Precision:
    """Mixed precision where the device has it: bf16 or fp16 with a scaler on
    CUDA; ``active`` is False elsewhere, and training goes on in fp32."""

    def __init__(self, wanted: bool, device: str) -> None:
        import torch

        self.active = bool(wanted) and device.startswith("cuda") and torch.cuda.is_available()
        self.dtype = torch.bfloat16 if self.active and torch.cuda.is_bf16_supported() else torch.float16
        self.device_type = "cuda" if device.startswith("cuda") else "cpu"
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.active and self.dtype == torch.float16)

    def autocast(self) -> Any:
        import torch

        return torch.autocast(self.device_type, dtype=self.dtype, enabled=self.active)


class MicroBatches:
    """Splits batches so that they fit: on an out-of-memory error the micro-batch
    halves, the whole batch keeps its size and its gradient."""

    def __init__(self, batch_size: int, told: Callable[[str], None] = lambda _text: None) -> None:
        self.size = batch_size
        self.told = told

    def run(self, images: Any, labels: Any, step: Callable[[Any, Any, float], Any], reset: Callable[[], None]) -> Any:
        """Calls ``step(images, labels, share)`` for each micro-batch, ``share``
        being its part of the batch; ``reset`` clears gradients before a retry.
        Returns the sum of what ``step`` returns."""
        import torch

        while True:
            try:
                return sum(step(images[i:i + self.size], labels[i:i + self.size], len(labels[i:i + self.size]) / len(labels))
                           for i in range(0, len(labels), self.size))
            except torch.OutOfMemoryError:
                if self.size <= 1:
                    raise
                reset()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                self.size = max(1, self.size // 2)
                self.told(f"out of memory: the micro-batch is {self.size} from here on; the batch keeps its size")


def epoch_order(n: int, seed: int, epoch: int) -> list[int]:
    """The order of samples in an epoch: a function of (seed, epoch) alone, and
    the native engine's, so that changing the adapter does not change it."""
    return permutation(n, seed, "shuffle", epoch)


def batches(order: list[int], batch_size: int, drop_last: bool, start: int = 0) -> Iterator[list[int]]:
    """Cuts an order into batches from sample position ``start`` on."""
    for i in range(start, len(order), batch_size):
        batch = order[i:i + batch_size]
        if len(batch) == batch_size or not drop_last:
            yield batch


def standard_schema() -> ConfigSchema:
    """The settings that the classification loop honours: the native adapter's, word for word."""
    def field(name: str, type: str, default: Any, group: str, resume: str = "apply", **more: Any) -> ConfigField:
        return ConfigField(name=name, type=type, default=default, group=group, resume=resume, **more)

    def option(value: str, label: str, description: str) -> dict[str, str]:
        return {"value": value, "label": label, "description": description}

    adams = {"field": "optimizer.type", "value": ["adam", "adamw"]}
    sgd = {"field": "optimizer.type", "value": "sgd"}
    cosine, step = ({"field": "scheduler.type", "value": v} for v in ("cosine", "step"))
    on = {"field": "augmentation.enabled", "value": True}
    return ConfigSchema(fields=[
        field("optimizer.type", "select", "adamw", "Optimizer", "reset", label="Optimizer",
              description="Update rule for the weights.", options=[
                  option("adam", "Adam", "Adaptive step per weight; weight decay is added to the gradient (L2)"),
                  option("adamw", "AdamW", "Adam with weight decay decoupled from the gradient; a good default"),
                  option("sgd", "SGD", "Stochastic gradient descent with momentum; the classic choice for convolutional networks")]),
        field("optimizer.learning_rate", "number", 1e-3, "Optimizer", label="Learning rate", min=0, max=10, step=1e-4,
              description="Base learning rate, which the scheduler scales. The same value as learning_rate on the train block."),
        field("optimizer.weight_decay", "number", 0.01, "Optimizer", label="Weight decay", min=0, max=1, step=1e-3,
              description="Pull of every weight towards zero: decoupled from the gradient for adamw, added to it (L2) for adam and sgd."),
        field("optimizer.momentum", "number", 0.9, "Optimizer", label="Momentum", min=0, max=0.9999, step=0.01, condition=sgd,
              description="Share of the last update that is kept in the next one."),
        field("optimizer.nesterov", "boolean", False, "Optimizer", label="Nesterov momentum", condition=sgd,
              description="Look ahead along the momentum before the update; needs momentum above 0."),
        field("optimizer.beta1", "number", 0.9, "Optimizer", label="Beta 1", min=0, max=0.9999, step=0.01, condition=adams,
              description="Decay of the running mean of gradients."),
        field("optimizer.beta2", "number", 0.999, "Optimizer", label="Beta 2", min=0, max=0.999999, step=1e-3, condition=adams,
              description="Decay of the running mean of squared gradients."),
        field("optimizer.eps", "number", 1e-8, "Optimizer", label="Epsilon", min=0, max=1, step=1e-8, condition=adams,
              description="Added to the root of the mean squared gradient, so that the step stays finite."),
        field("scheduler.type", "select", "cosine", "Scheduler", label="Scheduler",
              description="How the learning rate changes from epoch to epoch.", options=[
                  option("cosine", "Cosine annealing", "Falls along half a cosine from the base rate to eta_min in T_max epochs"),
                  option("step", "Step decay", "Multiplied by gamma every step_size epochs"),
                  option("none", "Constant", "Stays at the base rate")]),
        field("scheduler.T_max", "integer", None, "Scheduler", label="T_max", unit="epochs", min=1, max=100000, step=1,
              condition=cosine, description="Epochs from the base rate down to eta_min. Unset means the length of the training."),
        field("scheduler.eta_min", "number", 0.0, "Scheduler", label="Minimum learning rate", min=0, max=1, step=1e-6,
              condition=cosine, description="Rate at the bottom of the cosine."),
        field("scheduler.step_size", "integer", 30, "Scheduler", label="Step size", unit="epochs", min=1, max=100000, step=1,
              condition=step, description="Epochs between two multiplications by gamma."),
        field("scheduler.gamma", "number", 0.1, "Scheduler", label="Gamma", min=0, max=1, step=0.05, condition=step,
              description="Factor on the learning rate at each step."),
        field("scheduler.warmup_epochs", "integer", 0, "Scheduler", label="Warm-up", unit="epochs", min=0, max=1000, step=1,
              description="First epochs in which the rate rises in equal steps to the base rate; they replace the beginning of the schedule."),
        field("augmentation.enabled", "boolean", False, "Augmentation", label="Augment images",
              description="Vary the training images at random; validation images never change."),
        field("augmentation.random_flip", "boolean", True, "Augmentation", label="Random flip", condition=on,
              description="Mirror half of the images left to right. Turn it off where left and right differ, as in text."),
        field("augmentation.random_crop", "integer", 0, "Augmentation", label="Random crop", unit="px", min=0, max=128, step=1,
              condition=on, description="Pad each side by this much and crop back to size at a random place. 0 is off."),
        field("augmentation.rotation", "number", 0.0, "Augmentation", label="Random rotation", unit="degrees", min=0, max=180,
              step=1, condition=on, description="Turn by a random angle of at most this much to either side. 0 is off."),
        field("augmentation.color_jitter", "number", 0.0, "Augmentation", label="Color jitter", min=0, max=1, step=0.05,
              condition=on, description="Change brightness, contrast and saturation by a random factor of at most this much. 0 is off."),
        field("mixed_precision", "boolean", False, "Training", label="Mixed precision", devices=["cuda"],
              description="Compute in half precision where the device is faster for it; weights stay in single precision."),
        field("gradient_clip_value", "number", 0.0, "Training", label="Gradient clipping", min=0, max=1000, step=0.1,
              description="Largest norm of all gradients together; longer ones are scaled down to it. 0 is off."),
        field("gradient_accumulation", "integer", 1, "Training", label="Gradient accumulation", unit="batches", min=1, max=1024,
              step=1, description="Batches whose gradients are averaged before one update of the weights."),
        field("label_smoothing", "number", 0.0, "Training", label="Label smoothing", min=0, max=1, step=0.05,
              description="Share of each target that is spread evenly over all classes, in training only. 0 is off."),
        field("ema_decay", "number", 0.0, "Training", "reset", label="EMA decay", min=0, max=0.999999, step=1e-3,
              description="Decay of a moving average of the weights, which then validates, is kept as best and is exported. 0 is off."),
        field("early_stopping.patience", "integer", 0, "Training", label="Early stopping patience", unit="epochs", min=0,
              max=100000, step=1, description="Stop after this many epochs without a better monitored metric. 0 is off."),
        field("drop_last", "boolean", False, "Training", "forbid", label="Drop last batch",
              description="Leave out the last batch of an epoch when it is not full."),
    ])


def standard_presets() -> dict[str, Any]:
    """basic, standard and aggressive, as the native adapter has them."""
    def preset(kind: str, lr: float, decay: float, scheduler: dict[str, Any], clip: float, more: bool) -> dict[str, Any]:
        return {"optimizer": {"type": kind, "learning_rate": lr, "weight_decay": decay}, "scheduler": scheduler,
                "augmentation": {"enabled": True, "random_flip": True} if more else {"enabled": False},
                "mixed_precision": more, "gradient_clip_value": clip}

    return {
        "basic": preset("adam", 1e-3, 0.0, {"type": "none"}, 0.0, False),
        "standard": preset("adamw", 1e-3, 0.01, {"type": "cosine", "T_max": 50, "eta_min": 1e-6}, 1.0, True),
        "aggressive": preset("adamw", 3e-3, 0.05, {"type": "cosine", "T_max": 100, "eta_min": 1e-7}, 5.0, True),
    }
