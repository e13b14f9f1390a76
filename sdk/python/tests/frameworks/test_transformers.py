"""The transformers adapter over transformers itself: two real epochs, every setting read back, exact resume, no network."""

import json

import pytest

for module in ("torch", "transformers", "accelerate"):
    pytest.importorskip(module, reason=f"{module} is not installed")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from framework_data import CLASSES, bccd_index, check_parity, check_resume, real_data, run_step, step_task  # noqa: E402
from platform_sdk import DatasetConfig, ModelConfig, Stop, TrainingConfig, TrainingLogger  # noqa: E402
from platform_sdk.adapters.transformers import TransformersAdapter, count_parameters, get_models, model_config  # noqa: E402
from platform_sdk.events import Spool  # noqa: E402
from platform_sdk.reader import nest  # noqa: E402

MODELS = {"image_classification": "vit-tiny-patch16", "object_detection": "yolos-tiny"}


@pytest.fixture
def index(boxes_index, labels_index):
    return lambda task: labels_index if task == "image_classification" else boxes_index


def make(index, out, task="image_classification", config=None, logger=None, epochs=2, batch_size=5, name=None, image_size=32, **model):
    return TransformersAdapter(
        ModelConfig(framework="transformers", task_type=task, model_name=name or MODELS[task], image_size=image_size, pretrained=False, **model),
        DatasetConfig(dataset_path=str(index.parent), index_path=str(index)),
        TrainingConfig(epochs=epochs, batch_size=batch_size, learning_rate=1e-3, seed=3,
                       monitor="accuracy" if task == "image_classification" else "map", advanced_config=nest(config or {})),
        str(out), 1, logger=logger)


def test_models_have_configurations():
    for model in get_models():
        assert model_config(model["model_name"], 64, CLASSES, {}).num_labels == 3
        assert count_parameters(model["model_name"]) > 5e6  # built, without its numbers
    assert get_models("pose_estimation") == []


@pytest.mark.parametrize("task,name,size", [("image_classification", "resnet-18", 64), ("image_classification", "deit-tiny-patch16", 32), ("object_detection", "detr-resnet-18", 64)])
def test_other_families_learn(tmp_path, index, task, name, size):
    """One step of the larger ones: their loss has a gradient, and their figures are counted."""
    from platform_sdk.adapters.hf_trainer import measure

    adapter = built(index(task), tmp_path, task, {}, name=name, image_size=size)
    batch = adapter.train_set.collate([adapter.train_set[i] for i in range(4)])
    loss = adapter.trainer.compute_loss(adapter.model.train(), batch)
    loss.backward()
    assert all(p.grad is not None for n, p in adapter.model.named_parameters() if "classifier" in n)
    found = measure(adapter.model, adapter.other_sets["val"], CLASSES, 4)
    assert found["loss"] > 0 and sorted(found["per_class"]) == CLASSES


@pytest.mark.parametrize("task,name", MODELS.items())
def test_two_epochs(tmp_path, index, task, name):
    spool, size = Spool(tmp_path, 1), 32
    adapter = make(index(task), tmp_path / "out", task, logger=TrainingLogger(sink=spool), name=name, image_size=size)
    results = adapter.train()
    assert [r.epoch for r in results] == [0, 1]
    assert results[0].train_loss != results[1].train_loss and results[1].val_loss > 0
    events = [json.loads(line) for line in spool.path.read_text().splitlines()]
    validation = [e["validation"] for e in events if e["type"] == "validation"]
    assert [v["epoch"] for v in validation] == [1, 2] and sorted(validation[0]["per_class_metrics"]) == CLASSES
    truths = [sum(row) for row in validation[0]["confusion_matrix"][:3]]
    assert truths == [validation[0]["per_class_metrics"][c]["support"] for c in CLASSES] and min(truths) > 0
    trained = [e["metrics"]["values"] for e in events if e["type"] == "metrics" and e["metrics"]["split"] == "train"]
    if task == "image_classification":  # as the other adapters tell
        assert all(0 <= values["accuracy"] <= 1 for values in trained)
        matrix, samples = validation[1]["confusion_matrix"], validation[1]["samples"]
        wrong = [s["loss"] for s in samples if s["label"] != s["prediction"]]
        assert len(wrong) == sum(map(sum, matrix)) - sum(row[i] for i, row in enumerate(matrix)) and wrong == sorted(wrong, reverse=True)
    # "latest" is another name of what was announced, as natively.
    assert {e["checkpoint"]["name"] for e in events if e["type"] == "checkpoint"} == {"epoch_1", "epoch_2", "best"}
    assert (tmp_path / "out/checkpoints/latest.pth").read_bytes() == (tmp_path / "out/checkpoints/epoch_1.pth").read_bytes()
    last = str(tmp_path / "out/checkpoints/epoch_1.pth")
    again = make(index(task), tmp_path / "again", task, name=name, image_size=size, batch_size=2).evaluate(last, "val")
    assert again["metrics"] == pytest.approx({k: v for k, v in results[1].metrics.items() if k != "learning_rate"} | {"loss": results[1].val_loss}, abs=1e-6)
    about = make(index(task), tmp_path / "export", task, name=name, image_size=size).export_onnx(last, str(tmp_path / "m.onnx"))
    assert about["classes"] == CLASSES
    check_parity(tmp_path / "m.onnx", *about["parity"])


def built(index, out, task, config, **more):
    """The adapter with its Trainer made, before the first step."""
    adapter = make(index, out, task, config, **more)
    adapter.prepare_dataset()
    adapter.prepare_model()
    adapter.trainer = adapter.build_trainer()
    return adapter


# A value other than the base's for each setting, and what it needs beside it.
ON, SGD = {"augmentation.enabled": True}, {"optimizer.type": "sgd"}
STEP = {"scheduler.type": "step"}
CHANGES = {
    "optimizer.type": ({}, "adam"), "optimizer.learning_rate": ({}, 0.0123), "optimizer.weight_decay": ({}, 0.3), "optimizer.momentum": (SGD, 0.5),
    "optimizer.nesterov": (SGD, True), "optimizer.beta1": ({}, 0.5), "optimizer.beta2": ({}, 0.9), "optimizer.eps": ({}, 1e-4),
    "scheduler.type": ({}, "step"), "scheduler.T_max": ({}, 7), "scheduler.eta_min": ({}, 1e-4), "scheduler.step_size": (STEP, 3),
    "scheduler.gamma": (STEP, 0.5), "scheduler.warmup_epochs": ({}, 1), "augmentation.enabled": ({}, True), "augmentation.random_flip": (ON, False),
    "augmentation.random_crop": (ON, 4), "augmentation.rotation": (ON, 15.0), "augmentation.color_jitter": (ON, 0.25),
    "gradient_clip_value": ({}, 0.5), "gradient_accumulation": ({}, 2), "label_smoothing": ({}, 0.2), "early_stopping.patience": ({}, 3),
    "drop_last": ({}, True), "loss.bbox": ({}, 9), "loss.giou": ({}, 4), "loss.background": ({}, 0.3), "queries": ({}, 30),
}
BASE = {"optimizer.type": "adamw", "scheduler.type": "cosine"}


def schema(task):
    return TransformersAdapter.get_advanced_config_schema(task)


def fields():
    return [(f.name, task) for task in MODELS for f in schema(task).fields if f.name != "mixed_precision"
            and (task == "image_classification" or not f.name.startswith(("optimizer.", "scheduler.")))]


@pytest.mark.parametrize("name,task", fields(), ids=lambda v: str(v))
def test_every_setting_is_applied(tmp_path, index, name, task):
    """A changed value stands in the optimizer, scheduler, arguments, transforms or model that were built, and no other moves."""
    given, value = CHANGES[name]
    before = built(index(task), tmp_path / "a", task, BASE | given).applied_config()
    after = built(index(task), tmp_path / "b", task, BASE | given | {name: value}).applied_config()
    assert after[name] == pytest.approx(value) if not isinstance(value, (str, bool)) else after[name] == value
    assert before.get(name) != after[name]
    kept = {k for k in before if k in after and before[k] == pytest.approx(after[k])}
    assert {k for k in before if k in after} - kept == {name}, "other settings moved"


def test_schedule_is_what_the_optimizer_gets(tmp_path, labels_index):
    """The rates that the optimizer had at each update, against the schedule's own."""
    adapter = make(labels_index, tmp_path, config={"scheduler.type": "cosine", "scheduler.warmup_epochs": 1}, epochs=3, batch_size=12)
    adapter.prepare_dataset()
    adapter.prepare_model()
    adapter.trainer = adapter.build_trainer()
    seen, step = [], adapter.trainer.optimizer.step

    def stepped(*args, **kwargs):
        seen.append(adapter.trainer.optimizer.param_groups[0]["lr"])
        return step(*args, **kwargs)

    adapter.trainer.optimizer.step = stepped
    adapter.trainer.run(None)
    assert seen == pytest.approx([adapter.schedule.lr(e) for e in (0, 0, 1, 1, 2, 2)])


WILD = {"augmentation.enabled": True, "augmentation.color_jitter": 0.3, "gradient_accumulation": 2, "gradient_clip_value": 1.0,
        "optimizer.type": "adamw", "scheduler.type": "cosine"}


@pytest.mark.parametrize("task", MODELS)
def test_resume_is_exact(tmp_path, index, task):
    whole = make(index(task), tmp_path / "whole", task, WILD, epochs=3)
    expected = whole.train()
    second = make(index(task), tmp_path / "second", task, WILD, epochs=3)
    assert second.train(2, str(tmp_path / "whole/checkpoints/epoch_1.pth"), True) == expected[2:]
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name]), name


def test_stop_in_the_middle_of_an_epoch_resumes_exactly(tmp_path, labels_index):
    whole = make(labels_index, tmp_path / "whole", config=WILD, batch_size=4)
    expected = whole.train()
    logger = TrainingLogger()
    first = make(labels_index, tmp_path / "parts", config=WILD, batch_size=4, logger=logger)
    logger.stopping = lambda: first.trainer.state.global_step == 4  # the first update of epoch 1
    with pytest.raises(Stop):
        first.train()
    first.save_on_stop()
    second = make(labels_index, tmp_path / "parts", config=WILD, batch_size=4)
    assert second.train(1, str(tmp_path / "parts/checkpoints/latest.pth"), True) == expected[1:]
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name]), name


def test_early_stopping(tmp_path, labels_index):
    assert len(make(labels_index, tmp_path, epochs=9, config={"early_stopping.patience": 1, "optimizer.learning_rate": 1e-12}).train()) < 9


def test_weights_and_freeze(tmp_path, labels_index):
    make(labels_index, tmp_path / "first", epochs=1).train()
    best = str(tmp_path / "first/checkpoints/best.pth")
    second = built(labels_index, tmp_path / "second", "image_classification", {}, weights=best, freeze=["vit.embeddings.*"])
    state = torch.load(best, weights_only=True)["model_state_dict"]
    assert all(torch.equal(v, state[n]) for n, v in second.model.state_dict().items())
    frozen = [n for n, p in second.model.named_parameters() if not p.requires_grad]
    assert frozen and all(n.startswith("vit.embeddings.") for n in frozen)
    with pytest.raises(Exception, match="does not fit vit-small-patch16"):
        built(labels_index, tmp_path / "third", "image_classification", {}, name="vit-small-patch16", weights=best)


def test_bad_models_are_named(tmp_path, labels_index):
    with pytest.raises(Exception, match="builds no model 'vit-huge' for image_classification"):
        make(labels_index, tmp_path, name="vit-huge").train()


def test_saved_within_an_epoch(tmp_path, labels_index):
    """What a crash leaves in the middle of an epoch goes on to the same weights."""
    whole = make(labels_index, tmp_path / "whole", "image_classification")
    whole.train()

    class Crash(Exception):
        pass

    first = make(labels_index, tmp_path / "parts", "image_classification", logger=TrainingLogger(sink=Spool(tmp_path, 1)))
    first.save_seconds = 0.0
    announce = first.announce_checkpoints

    def crash():
        announce()
        if first.trainer.state.global_step % first.trainer.reporter.per_epoch:
            raise Crash

    first.announce_checkpoints = crash
    with pytest.raises(Crash):
        first.train()
    second = make(labels_index, tmp_path / "parts", "image_classification")
    results = second.train(0, str(tmp_path / "parts/checkpoints/latest.pth"), True)
    assert [r.epoch for r in results] == [0, 1] and [r.train_loss for r in results] == [r.train_loss for r in whole.trainer.reporter.results]
    assert all(torch.equal(a, b) for a, b in zip(second.model.state_dict().values(), whole.model.state_dict().values()))


def test_kill_and_resume_under_the_protocol(tmp_path, labels_index):
    def attempt(name, number, resume, **kill):
        return run_step(step_task(tmp_path / name, "transformers", "vit-tiny-patch16", labels_index, number, resume,
                                  {"augmentation.enabled": True}, "image_classification"), **kill)

    first, second = attempt("parts", 1, False, kill_after='"name": "epoch_2"'), attempt("parts", 2, True)
    check_resume(attempt("whole", 1, False), first, second)
    applied = next(e["config_applied"] for e in second if e["type"] == "config_applied")
    assert applied["proof"] == "objects" and applied["values"]["augmentation.enabled"] is True
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert [a["name"] for a in second[-1]["result"]["artifacts"]] == ["model.onnx"]


def test_detection_metrics_are_cocos():
    """Against pycocotools, where it is installed, on random boxes; crowds too."""
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from platform_sdk.detection_metrics import DetectionMetrics
    from pycocotools.cocoeval import COCOeval

    rng, ours = np.random.default_rng(4), DetectionMetrics(["a", "b"])
    images, truths, found = [], [], []
    for image in range(1, 13):
        images.append({"id": image, "width": 100, "height": 100})
        n = int(rng.integers(1, 6))
        corner, size, labels = rng.uniform(0, 60, (n, 2)), rng.uniform(10, 40, (n, 2)), rng.integers(0, 2, n)
        crowd = rng.random(n) < 0.15
        near = np.concatenate([corner + rng.normal(0, 3, (n, 2)), corner + rng.uniform(-30, 30, (n, 2))])
        sizes, scores = np.concatenate([size, size]), rng.random(2 * n)
        guesses = np.concatenate([labels, rng.integers(0, 2, n)])
        ours.add(np.concatenate([near, near + sizes], 1), scores, guesses, np.concatenate([corner, corner + size], 1), labels, crowd)
        for k in range(n):
            truths.append({"id": len(truths) + 1, "image_id": image, "category_id": int(labels[k]) + 1, "bbox": [*corner[k], *size[k]],
                           "area": float(size[k].prod()), "iscrowd": int(crowd[k])})
        found += [{"image_id": image, "category_id": int(c) + 1, "bbox": [*b, *s], "score": float(p)} for b, s, c, p in zip(near, sizes, guesses, scores)]
    truth = coco.COCO()
    truth.dataset = {"images": images, "annotations": truths, "categories": [{"id": 1}, {"id": 2}], "info": {}}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    got = ours.figures()["metrics"]
    assert got["map"] == pytest.approx(evaluation.stats[0], abs=1e-9) and got["map50"] == pytest.approx(evaluation.stats[1], abs=1e-9)


def test_perfect_and_missed_detections():
    from platform_sdk.detection_metrics import DetectionMetrics

    m = DetectionMetrics(["a", "b"])
    boxes = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    m.add(boxes[:1], np.array([0.9]), np.array([0]), boxes, np.array([0, 1]))
    figures = m.figures()
    assert figures["per_class"]["a"] == {"map": 1.0, "map50": 1.0, "precision": 1.0, "recall": 1.0, "support": 1.0}
    assert figures["metrics"]["map"] == 0.5
    assert figures["confusion_matrix"] == [[1, 0, 0], [0, 0, 1], [0, 0, 0]] and figures["classes"] == ["a", "b", "background"]


def test_cifar10(tmp_path, tmp_path_factory):
    """Two epochs on real photographs, a few of them; the loss falls."""
    root = real_data("cifar10-small", tmp_path_factory)
    classes = sorted(p.name for p in (root / "train").iterdir())
    splits = {s: [{"p": str(f), "l": i} for i, c in enumerate(classes) for f in sorted((root / s / c).iterdir())[:n]] for s, n in (("train", 20), ("val", 5))}
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "cifar", "classes": classes, "splits": splits}))
    first, second = make(tmp_path / "dataset.json", tmp_path / "out", batch_size=20).train()
    assert second.train_loss < first.train_loss


def test_bccd(tmp_path, tmp_path_factory):
    first, second = make(bccd_index(tmp_path, tmp_path_factory), tmp_path / "out", "object_detection", image_size=64).train()
    assert second.train_loss < first.train_loss and second.val_loss > 0
