"""timm's own transforms, mixing, schedules and drop rates: built as timm builds
them, read back from what was built, and resumed exactly."""

import pytest
import torch
from platform_sdk import DatasetConfig, ModelConfig, Stop, TaskType, TrainingConfig, TrainingLogger
from platform_sdk.loading import SettingError
from platform_sdk.reader import nest
from platform_sdk.training import draws_of, standard_schema

timm = pytest.importorskip("timm", reason="timm is not installed")

from platform_sdk.adapters import timm_settings  # noqa: E402
from platform_sdk.adapters.timm import TimmAdapter  # noqa: E402
from timm import scheduler  # noqa: E402
from timm.loss import SoftTargetCrossEntropy  # noqa: E402


def make(data, out, config=None, logger=None, model="test_resnet", epochs=2, **training):
    return TimmAdapter(
        ModelConfig(framework="timm", task_type=TaskType.image_classification, model_name=model, image_size=32, pretrained=False),
        DatasetConfig(dataset_path=str(data)),
        TrainingConfig(epochs=epochs, batch_size=7, learning_rate=0.01, seed=5, advanced_config=nest(config or {}), **training), str(out), 1, logger=logger)


def weights(a):
    return torch.cat([p.detach().flatten() for p in a.model.state_dict().values() if p.dtype.is_floating_point])


ON = {"augmentation.enabled": True}
RAND, AUGMIX, ERASING = ON | {"augmentation.policy": "randaugment"}, ON | {"augmentation.policy": "augmix"}, ON | {"augmentation.erasing_mode": "const", "augmentation.erasing": 1.0}
WSD, MIXED, BOTH = {"scheduler.type": "wsd"}, {"mixup.type": "mixup"}, {"mixup.type": "both"}
CHANGES = {  # what must be set beside, and the changed values
    "scheduler.type": ({}, ["poly", "tanh", "wsd"]), "scheduler.power": ({"scheduler.type": "poly"}, [2.5]),
    "scheduler.decay_epochs": (WSD | {"scheduler.T_max": 3}, [3]), "scheduler.decay_shape": (WSD | {"scheduler.decay_epochs": 2}, ["linear"]),
    "scheduler.T_max": ({"scheduler.type": "tanh"}, [4]), "scheduler.eta_min": ({"scheduler.type": "poly"}, [0.005]),
    "augmentation.random_resized_crop": (ON, [0.3]), "augmentation.random_vertical_flip": (ON, [True]),
    "augmentation.policy": (ON, ["randaugment", "autoaugment", "augmix", "3augment"]), "augmentation.magnitude": (RAND, [2]),
    "augmentation.magnitude_std": (RAND, [0.0]), "augmentation.operations": (RAND, [4]), "augmentation.severity": (AUGMIX, [9]),
    "augmentation.chains": (AUGMIX, [1]), "augmentation.erasing_mode": (ON, ["const", "rand", "pixel"]), "augmentation.erasing": (ERASING, [0.4]),
    "augmentation.erasing_count": (ERASING, [3]), "mixup.type": ({}, ["mixup", "cutmix", "both"]), "mixup.alpha": (MIXED, [0.1]),
    "mixup.cutmix_alpha": ({"mixup.type": "cutmix"}, [0.2]), "mixup.probability": (MIXED, [0.5]), "mixup.switch_probability": (BOTH, [0.0]),
    "mixup.mode": (BOTH, ["pair", "elem"]), "mixup.off_epoch": (MIXED, [1]), "drop_rate": ({}, [0.5]), "drop_path_rate": ({}, [0.3]),
}
OWN = [f.name for f in timm_settings.schema().fields if f not in standard_schema().fields]


@pytest.mark.parametrize("field", OWN)
def test_every_setting_is_applied(tmp_path, dots, field):
    given, values = CHANGES[field]
    base = make(dots, tmp_path / "base", given)
    results = base.train()
    for value in values:
        changed = make(dots, tmp_path / str(value), given | {field: value})
        different = changed.train()
        assert changed.applied_config()[field] == value != base.applied_config().get(field)
        assert [r.train_loss for r in different] != [r.train_loss for r in results] or not torch.equal(weights(base), weights(changed)), value


def test_what_is_told_is_what_was_asked_for(tmp_path, dots):
    """Every active setting at its default, and all of timm's kinds at once."""
    asked = {"scheduler.type": "wsd", **RAND, "augmentation.erasing_mode": "pixel", "augmentation.random_resized_crop": 0.5, **BOTH}
    a = make(dots, tmp_path, asked, epochs=1)
    a.train()
    applied = a.applied_config()
    assert asked.items() <= applied.items()
    for f in timm_settings.schema().fields:
        if f.name in OWN and f.name not in asked and f.name in applied and f.default is not None:
            assert applied[f.name] == f.default, f.name


EVERYTHING = {"augmentation.enabled": True, "augmentation.random_resized_crop": 0.4, "augmentation.random_vertical_flip": True,
              "augmentation.policy": "randaugment", "augmentation.erasing_mode": "pixel", "augmentation.erasing": 0.5, "mixup.type": "both", "mixup.mode": "elem",
              "scheduler.type": "wsd", "scheduler.decay_epochs": 2, "drop_rate": 0.1, "drop_path_rate": 0.2, "label_smoothing": 0.1, "ema_decay": 0.9}


def test_stop_in_the_middle_of_an_epoch_resumes_exactly(tmp_path, dots):
    whole = make(dots, tmp_path / "whole", EVERYTHING)
    expected = whole.train()
    first = make(dots, tmp_path / "parts", EVERYTHING, TrainingLogger())
    first.logger.stopping = lambda: first.global_step == 8  # of 6 each epoch
    with pytest.raises(Stop):
        first.train()
    first.save_on_stop()
    second = make(dots, tmp_path / "parts", EVERYTHING)
    (got,) = second.train(1, str(tmp_path / "parts" / "checkpoints" / "latest.pth"), True)
    assert got.train_loss == expected[1].train_loss and torch.equal(weights(second), weights(whole))


@pytest.mark.parametrize("policy", [{"augmentation.policy": "randaugment", "augmentation.magnitude": 10}, {"augmentation.policy": "augmix", "augmentation.severity": 10}])
def test_full_strength_trains(tmp_path, dots, policy):
    a = make(dots, tmp_path, ON | policy)
    a.prepare_dataset()
    for a.train_set.epoch in range(6):
        for i in range(len(a.train_set)):
            assert a.train_set[i][0].shape == (3, 32, 32)


@pytest.mark.parametrize("policy", ["randaugment", "augmix"])
def test_loaders_in_other_processes_draw_the_same(tmp_path, dots, policy):
    config = EVERYTHING | {"augmentation.policy": policy}
    a, b = make(dots, tmp_path / "a", config), make(dots, tmp_path / "b", config, num_workers=2)
    a.train()
    b.train()
    assert torch.equal(weights(a), weights(b))


def test_draws_leave_the_generators_alone():
    import random

    import numpy

    def all_three():
        return random.random(), numpy.random.rand(), torch.rand(1).item()

    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    expected = all_three()
    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.set_rng_state(states[2])
    with draws_of(1, 2):
        inside = all_three()
    assert all_three() == expected
    with draws_of(1, 2):
        assert all_three() == inside


def test_mixing_is_timms(tmp_path, dots):
    """The loss over a mixed batch is timm's own, smoothing of labels included."""
    a = make(dots, tmp_path, {"mixup.type": "both", "mixup.mode": "pair", "label_smoothing": 0.2}, epochs=1)
    a.train()
    images, labels, logits = torch.rand(6, 3, 32, 32), torch.tensor([0, 1, 1, 0, 1, 0]), torch.randn(6, 2)
    mixed, targets = a.mix(images.clone(), labels, 3, 14)
    peer = timm.data.Mixup(0.8, 1.0, prob=1.0, switch_prob=0.5, mode="pair", label_smoothing=0.2, num_classes=2)
    with draws_of(5, 3, 14, 6):
        want, smooth = peer(images.clone(), labels)
    assert torch.equal(mixed, want) and not torch.equal(mixed, images)
    assert a.criterion(logits, targets).item() == pytest.approx(SoftTargetCrossEntropy()(logits, smooth).item(), rel=1e-6)


@pytest.mark.parametrize("n", [1, 7])
def test_of_an_odd_batch_the_last_image_stays(tmp_path, dots, n):
    a = make(dots, tmp_path, MIXED)
    a.prepare_dataset()
    images, labels = torch.rand(n, 3, 32, 32), torch.arange(n) % 2
    mixed, targets = a.mix(images.clone(), labels, 0, 0)
    assert torch.equal(mixed[-1], images[-1]) and targets[-1].tolist() == torch.nn.functional.one_hot(labels[-1], 2).tolist()
    assert targets.shape == (n, 2) and targets.sum(1).tolist() == pytest.approx([1.0] * n)
    assert n == 1 or not torch.equal(mixed[0], images[0])


@pytest.mark.parametrize("name, arguments, peer", [
    ("poly", {"power": 2.0, "eta_min": 0.01}, lambda o: scheduler.create_scheduler_v2(o, "poly", num_epochs=9, warmup_epochs=0, decay_rate=2.0, min_lr=0.01)[0]),
    ("tanh", {"eta_min": 0.01}, lambda o: scheduler.create_scheduler_v2(o, "tanh", num_epochs=9, warmup_epochs=0, min_lr=0.01)[0]),
    ("wsd", {"decay_epochs": 4, "decay_shape": "linear"}, lambda o: scheduler.WSDLRScheduler(o, 9, 4, decay_fn="linear")),
])
def test_schedules_are_timms(name, arguments, peer):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    theirs = peer(optimizer)
    ours = timm_settings.TimmSchedule({"type": name, **arguments}, 9, 0.3)
    for epoch in range(12):
        theirs.step(epoch)
        assert ours.lr(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), epoch
    warm = timm_settings.TimmSchedule({"type": name, "warmup_epochs": 2, **arguments}, 9, 0.3)
    assert [warm.lr(e) for e in (0, 1)] == pytest.approx([0.1, 0.2]) and warm.lr(5) == ours.lr(5)


def test_transforms_are_timms(tmp_path, dots):
    """The same steps with the same numbers as timm's own training pipeline."""
    a = make(dots, tmp_path, RAND | {"augmentation.random_resized_crop": 0.08, "augmentation.random_vertical_flip": True,
                                     "augmentation.erasing_mode": "pixel", "augmentation.erasing": 0.3})
    a.prepare_dataset()
    theirs = timm.data.create_transform(32, is_training=True, no_aug=False, color_jitter=None, vflip=0.5, auto_augment="rand-m9-n2-mstd0.5-inc1", mean=a.mean, std=a.std,
                                        interpolation=a.interpolation, re_prob=0.3, re_mode="pixel")
    ours = a.train_set.transform.transforms
    assert [type(s).__name__ for s in ours] == ["RandomResizedCropAndInterpolation", "RandomHorizontalFlip", "RandomVerticalFlip", "RandAugment",
                                                "ToTensor", "Normalize", "RandomErasing"]
    for mine, peer in zip(ours, theirs.transforms, strict=True):
        if type(mine).__name__ not in ("ToTensor", "Normalize"):  # timm's own classes of the same
            assert repr(mine) == repr(peer)
    assert ours[3].ops[0].kwargs == theirs.transforms[3].ops[0].kwargs


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_100", "deit_tiny_patch16_224",
                                  "swin_tiny_patch4_window7_224", "regnety_002"])
def test_drop_rates_reach_the_layers(name):
    asked = {"drop_rate": 0.15, "drop_path_rate": 0.25}
    with torch.device("meta"):
        assert timm_settings.dropped(timm.create_model(name, **asked), asked) == asked


def test_drop_rates_that_come_to_nothing_are_refused(tmp_path, dots):
    with pytest.raises(SettingError, match="^drop_path_rate: vgg11 takes none; leave it out"):
        make(dots, tmp_path, {"drop_path_rate": 0.1}, model="vgg11").train()
    with pytest.raises(SettingError, match="^drop_rate = 0.3 comes to nothing: Linear has no layer"):
        timm_settings.dropped(torch.nn.Linear(1, 1), {"drop_rate": 0.3})


def test_a_decay_longer_than_the_schedule_is_refused(tmp_path, dots):
    with pytest.raises(SettingError, match="^scheduler.decay_epochs is 9, longer than the schedule of 2 epochs"):
        make(dots, tmp_path, WSD | {"scheduler.decay_epochs": 9}).train()
