"""The ultralytics adapter over ultralytics itself: two real epochs, every setting read back, exact resume, no network."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ultralytics", reason="ultralytics is not installed")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from framework_data import CLASSES, bccd_index, check_parity, check_resume, run_step, step_task  # noqa: E402
from platform_sdk import DatasetConfig, ModelConfig, TrainingConfig, TrainingLogger  # noqa: E402
from platform_sdk.adapters.ultralytics import UltralyticsAdapter, get_models  # noqa: E402
from platform_sdk.adapters.yolo_settings import schema  # noqa: E402
from platform_sdk.events import Spool  # noqa: E402
from platform_sdk.reader import nest  # noqa: E402
from platform_sdk.step import cause_of  # noqa: E402

MODELS = {"object_detection": "yolov8n", "instance_segmentation": "yolov8n-seg", "pose_estimation": "yolov8n-pose",
          "image_classification": "yolov8n-cls"}


@pytest.fixture
def index(request, boxes_index, labels_index):
    return lambda task: labels_index if task == "image_classification" else boxes_index


def make(index, out, task="object_detection", config=None, logger=None, epochs=2, batch_size=4, name=None, **model):
    return UltralyticsAdapter(
        ModelConfig(framework="ultralytics", task_type=task, model_name=name or MODELS[task], image_size=64, pretrained=False, **model),
        DatasetConfig(dataset_path=str(index.parent), index_path=str(index)),
        TrainingConfig(epochs=epochs, batch_size=batch_size, learning_rate=1e-3, seed=3,
                       monitor="accuracy" if task == "image_classification" else "map", advanced_config=nest(config or {})),
        str(out), 1, logger=logger)


def test_models_have_configurations():
    import ultralytics

    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    for model in get_models():
        name = model["model_name"]
        base, _, suffix = name.partition("-")
        assert list(folder.rglob(base[:-1] + ("-" + suffix if suffix else "") + ".yaml")) or list(folder.rglob(f"{name}.yaml")), name
    assert {m["license"] for m in get_models()} == {"AGPL-3.0"}
    assert get_models("semantic_segmentation") == []


@pytest.mark.parametrize("task", MODELS)
def test_two_epochs(tmp_path, index, task):
    spool = Spool(tmp_path, 1)
    adapter = make(index(task), tmp_path / "out", task, logger=TrainingLogger(sink=spool))
    results = adapter.train()
    assert [r.epoch for r in results] == [0, 1]
    assert results[0].train_loss != results[1].train_loss and results[1].val_loss > 0
    events = [json.loads(line) for line in spool.path.read_text().splitlines()]
    validation = [e["validation"] for e in events if e["type"] == "validation"]
    assert [v["epoch"] for v in validation] == [1, 2]
    assert sorted(validation[0]["per_class_metrics"]) == CLASSES
    for v in validation:
        for name, curve in (v.get("pr_curves") or {}).items():
            assert curve["recall"] == sorted(curve["recall"]) and len(curve["precision"]) == len(curve["thresholds"]) == len(curve["recall"]) <= 60
            assert name in CLASSES and 0 <= curve["ap"] <= 1 and curve["thresholds"] == sorted(curve["thresholds"], reverse=True)
    if task == "image_classification":
        assert sorted(validation[0]["pr_curves"]) == CLASSES and validation[0]["pr_curves"][CLASSES[0]]["recall"][-1] == 1
    n = len(CLASSES) + (task != "image_classification")
    assert np.array(validation[0]["confusion_matrix"]).shape == (n, n) and len(validation[0]["classes"]) == n
    truths = [sum(row) for row in validation[0]["confusion_matrix"][:3]]
    assert truths == [validation[0]["per_class_metrics"][c]["support"] for c in CLASSES] and min(truths) > 0
    # "latest" is another name of what was announced, as natively.
    assert {e["checkpoint"]["name"] for e in events if e["type"] == "checkpoint"} == {"epoch_1", "epoch_2", "best"}
    assert (tmp_path / "out/checkpoints/latest.pth").read_bytes() == (tmp_path / "out/checkpoints/epoch_1.pth").read_bytes()
    # A checkpoint measures what the training measured of it, and its export computes what it computes.
    again = make(index(task), tmp_path / "again", task, batch_size=1).evaluate(str(tmp_path / "out/checkpoints/epoch_1.pth"), "val")
    assert again["metrics"] == pytest.approx({k: v for k, v in results[1].metrics.items() if k != "learning_rate"} | {"loss": results[1].val_loss}, abs=1e-6)
    about = adapter.export_onnx(str(tmp_path / "out/checkpoints/epoch_1.pth"), str(tmp_path / "m.onnx"))
    check_parity(tmp_path / "m.onnx", *about["parity"])


def built(index, out, task, config, **more):
    """The adapter with everything made, before the first step."""
    adapter = make(index, out, task, config, **more)
    adapter.prepare_dataset()
    adapter.prepare_model()
    adapter.trainer._setup_train()
    return adapter


# A value other than the base's for each setting, and what it needs beside it.
CHANGES = {
    "optimizer.type": "sgd", "optimizer.learning_rate": 0.0123, "optimizer.weight_decay": 0.03, "optimizer.momentum": 0.5,
    "scheduler.type": "linear", "scheduler.eta_min": 2e-4, "scheduler.warmup_epochs": 1.0, "scheduler.warmup_momentum": 0.3,
    "scheduler.warmup_bias_lr": 0.05, "augmentation.hsv_h": 0.1, "augmentation.hsv_s": 0.2, "augmentation.hsv_v": 0.1,
    "augmentation.scale": 0.3, "augmentation.flipud": 0.25, "augmentation.fliplr": 0.75, "nominal_batch_size": 8,
    "early_stopping.patience": 4, "single_class": True, "augmentation.policy": "augmix", "augmentation.erasing": 0.35, "dropout": 0.2,
    "augmentation.rotation": 15.0, "augmentation.translate": 0.3, "augmentation.shear": 5.0, "augmentation.perspective": 0.0005,
    "augmentation.bgr": 0.5, "augmentation.mosaic": 0.5, "augmentation.close_mosaic": 1, "augmentation.mixup": 0.4, "augmentation.cutmix": 0.3,
    "augmentation.multi_scale": 0.5, "loss.box": 3.0, "loss.cls": 1.5, "loss.dfl": 0.7, "loss.class_weight_power": 0.5, "validation.iou": 0.4,
    "validation.max_detections": 77, "augmentation.copy_paste": 0.6, "augmentation.copy_paste_mode": "mixup", "mask.overlap": False,
    "mask.ratio": 2, "loss.pose": 6.0, "loss.kobj": 2.0,
}
BASE = {"augmentation.close_mosaic": 0}


def fields():
    """Every setting with the first task that has it; detection has most."""
    seen = {}
    for task in MODELS:
        for field in schema(task).fields:
            seen.setdefault(field.name, task)
    return [(name, task) for name, task in seen.items() if name != "mixed_precision"]


@pytest.fixture(scope="module")
def base_values():
    return {}


@pytest.mark.parametrize("name,task", fields(), ids=lambda v: str(v))
def test_every_setting_is_applied(tmp_path, index, base_values, name, task):
    """A changed value stands in the optimizer, schedule, transforms, loss or stopper that the framework built."""
    if task not in base_values:
        base_values[task] = built(index(task), tmp_path / "a", task, BASE).applied_config()
    value = CHANGES[name]
    got = built(index(task), tmp_path / "b", task, BASE | {name: value}).applied_config()
    assert got[name] == pytest.approx(value, rel=1e-9) if not isinstance(value, (str, bool)) else got[name] == value
    assert not same(got[name], base_values[task].get(name))
    known = {f.name for f in schema(task).fields}
    # Nothing else moved. (A policy takes the place of the colours.)
    moved = {k for k in got if not same(got[k], base_values[task].get(k))} & known
    assert moved <= {name, *(n for n in known if n.startswith("augmentation.hsv_") and name == "augmentation.policy")}


def same(a, b):
    return a == pytest.approx(b, rel=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b


@pytest.mark.parametrize("task", MODELS)
def test_every_active_setting_is_told(tmp_path, index, task):
    asked = {} if task == "image_classification" else BASE  # two epochs are over before the default lets mosaic begin
    got = built(index(task), tmp_path, task, asked).applied_config()
    assert {f.name for f in schema(task).fields} <= set(got)
    assert got["optimizer.learning_rate"] == 1e-3 and got["seed"] == 3
    for field in schema(task).fields:
        want = asked.get(field.name, field.default)
        if field.name not in ("optimizer.learning_rate",):
            assert got[field.name] == pytest.approx(want) if not isinstance(want, str) else got[field.name] == want, field.name


def test_learning_rate_counts_under_every_optimizer(tmp_path, index):
    options = next(f for f in schema("object_detection").fields if f.name == "optimizer.type").options
    assert "auto" not in [o["value"] for o in options]
    for option in options:
        got = built(index("object_detection"), tmp_path, "object_detection",
                    {"optimizer.type": option["value"], "optimizer.learning_rate": 0.00321}).applied_config()
        assert (got["optimizer.type"], got["optimizer.learning_rate"]) == (option["value"], 0.00321)


WILD = {"augmentation.close_mosaic": 1, "augmentation.mixup": 0.5, "scheduler.warmup_epochs": 1.5, "nominal_batch_size": 8, "optimizer.type": "sgd"}


def test_resume_is_exact(tmp_path, index, boxes_index):
    """Across an open accumulation window, warm-up and the close of mosaic."""
    whole = make(boxes_index, tmp_path / "whole", config=WILD, epochs=3, batch_size=5)
    expected = whole.train()
    for after in (1, 2):
        second = make(boxes_index, tmp_path / f"resumed{after}", config=WILD, epochs=3, batch_size=5)
        got = second.train(after, str(tmp_path / f"whole/checkpoints/epoch_{after - 1}.pth"), True)
        assert got == expected[after:]
        for name, value in second.trainer.ema.ema.state_dict().items():
            assert torch.equal(value, whole.trainer.ema.ema.state_dict()[name]), name


def test_resume_of_another_head_is_exact(tmp_path, boxes_index):
    """yolo26 weighs its two heads by the epoch."""
    whole = make(boxes_index, tmp_path / "whole", name="yolo26n")
    expected = whole.train()
    second = make(boxes_index, tmp_path / "second", name="yolo26n")
    assert second.train(1, str(tmp_path / "whole/checkpoints/epoch_0.pth"), True) == expected[1:]


def test_one_class_is_measured_as_it_was_learned(tmp_path, boxes_index):
    adapter = make(boxes_index, tmp_path / "out", config={"single_class": True, "validation.max_detections": 50}, epochs=1)
    (result,) = adapter.train()
    again = make(boxes_index, tmp_path / "again").evaluate(str(tmp_path / "out/checkpoints/best.pth"), "val")
    assert again["classes"] == ["object", "background"] and again["loss"] == pytest.approx(result.val_loss)
    assert sum(again["confusion_matrix"][0]) == again["per_class"]["object"]["support"] > 0


def test_weights_and_freeze(tmp_path, boxes_index):
    first = make(boxes_index, tmp_path / "first", epochs=1)
    first.train()
    best = str(tmp_path / "first/checkpoints/best.pth")
    second = built(boxes_index, tmp_path / "second", "object_detection", {}, weights=best, freeze=["model.0.*"])
    second.trainer.run_callbacks("on_pretrain_routine_end")
    state = torch.load(best, weights_only=True)["ema_state_dict"]
    model = second.trainer.model
    assert torch.equal(model.state_dict()["model.1.conv.weight"], state["model.1.conv.weight"])
    assert [n for n, p in model.named_parameters() if not p.requires_grad and "dfl" not in n] == ["model.0.conv.weight", "model.0.bn.weight", "model.0.bn.bias"]
    with pytest.raises(Exception, match="does not fit the model"):
        built(boxes_index, tmp_path / "third", "object_detection", {}, name="yolov8s", weights=best)


@pytest.mark.parametrize("change,message", [
    ({"name": "yolov8q"}, "has no model 'yolov8q'"), ({"task": "pose_estimation", "name": "yolov8n"}, "has no model 'yolov8n' for pose_estimation"),
    ({"config": {"scheduler.eta_min": 0.5}}, "scheduler.eta_min = 0.5 is above the learning rate")])
def test_bad_models_are_named(tmp_path, boxes_index, change, message):
    with pytest.raises(Exception, match=message):
        make(boxes_index, tmp_path, **change).train()


def test_mosaic_that_is_over_before_it_begins_is_told(tmp_path, boxes_index):
    spool = Spool(tmp_path, 1)
    config = {"augmentation.mosaic": 0.5, "augmentation.mixup": 0.1, "augmentation.close_mosaic": 2}
    adapter = make(boxes_index, tmp_path / "short", "object_detection", config, logger=TrainingLogger(sink=spool), epochs=2)
    adapter.train()
    applied = adapter.applied_config()
    assert applied["augmentation.mosaic"] == applied["augmentation.mixup"] == 0 and applied["augmentation.close_mosaic"] == 2
    assert "augmentation.mosaic, augmentation.mixup: not used, because the last 2 epochs" in spool.path.read_text()
    assert built(boxes_index, tmp_path / "long", "object_detection", config | {"augmentation.close_mosaic": 1}).applied_config()["augmentation.mosaic"] == 0.5


def test_a_file_that_is_no_image_is_named(tmp_path, labels_index):
    planned = json.loads(labels_index.read_text())
    planned["splits"]["train"][0]["p"] = str(tmp_path / "broken.png")
    (tmp_path / "broken.png").write_text("this is no image")
    (tmp_path / "planned.json").write_text(json.dumps(planned))
    with pytest.raises(Exception, match="broken.png cannot be read as an image") as told:
        make(tmp_path / "planned.json", tmp_path / "out", "image_classification").train()
    assert cause_of(told.value) == "data"


def test_images_without_boxes_are_refused(tmp_path, labels_index):
    with pytest.raises(Exception, match="not for detection"):
        make(labels_index, tmp_path).train()


def test_kill_and_resume_under_the_protocol(tmp_path, boxes_index):
    def attempt(name, number, resume, **kill):
        return run_step(step_task(tmp_path / name, "ultralytics", "yolov8n", boxes_index, number, resume, {"augmentation.mosaic": 0.5, "augmentation.close_mosaic": 1}), **kill)

    first, second = attempt("parts", 1, False, kill_after='"name": "epoch_2"'), attempt("parts", 2, True)
    check_resume(attempt("whole", 1, False), first, second)
    applied = next(e["config_applied"] for e in second if e["type"] == "config_applied")
    assert applied["proof"] == "objects" and applied["values"]["augmentation.mosaic"] == 0.5


def test_bccd(tmp_path, tmp_path_factory):
    """Two epochs on real photographs, a few of them."""
    first, second = make(bccd_index(tmp_path, tmp_path_factory), tmp_path / "out").train()
    assert second.train_loss != first.train_loss and second.val_loss > 0
