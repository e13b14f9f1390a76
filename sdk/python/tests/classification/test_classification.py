"""The classification loop: exact resume, every setting applied, figures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from platform_sdk import DatasetConfig, ModelConfig, Stop, TaskType, TrainingConfig, TrainingLogger, checkpoints
from platform_sdk.classification import Images, figures
from platform_sdk.events import Spool
from platform_sdk.reader import nest
from platform_sdk.samples import Samples
from platform_sdk.training import EMA, MicroBatches, Schedule, epoch_order, standard_schema
from tiny_adapter import TinyAdapter

HERE = Path(__file__).parent


def adapter(data, out, config=None, logger=None, epochs=2, batch_size=8, **training):
    return TinyAdapter(
        ModelConfig(framework="tiny", task_type=TaskType.image_classification, model_name="tiny", image_size=16),
        DatasetConfig(dataset_path=str(data)),
        TrainingConfig(epochs=epochs, batch_size=batch_size, learning_rate=0.01, seed=5, advanced_config=nest(config or {}), **training),
        str(out), 1, logger=logger)


def weights(a):
    return torch.cat([p.detach().flatten() for p in a.model.state_dict().values() if p.dtype.is_floating_point])


AUGMENTED = {"augmentation.enabled": True, "augmentation.rotation": 20.0, "augmentation.color_jitter": 0.3, "ema_decay": 0.9,
             "optimizer.type": "sgd", "gradient_accumulation": 2, "gradient_clip_value": 1.0}


def test_resume_is_exact(tmp_path, dots):
    whole = adapter(dots, tmp_path / "whole", AUGMENTED, epochs=3)
    expected = whole.train()
    first = adapter(dots, tmp_path / "parts", AUGMENTED, epochs=3)

    class Halt(Exception):
        pass

    original = first._epoch

    def stop_after_one(epoch, position):
        if epoch == 1:
            raise Halt
        return original(epoch, position)

    first._epoch = stop_after_one
    with pytest.raises(Halt):
        first.train()
    second = adapter(dots, tmp_path / "parts", AUGMENTED, epochs=3)
    got = second.train(1, str(tmp_path / "parts" / "checkpoints" / "epoch_0.pth"), True)
    assert [r.train_loss for r in got] == [r.train_loss for r in expected[1:]]
    assert torch.equal(weights(second), weights(whole))


def test_stop_in_the_middle_of_an_epoch_resumes_exactly(tmp_path, dots):
    whole = adapter(dots, tmp_path / "whole", AUGMENTED)
    whole.train()
    logger = TrainingLogger()
    first = adapter(dots, tmp_path / "parts", AUGMENTED, logger=logger)
    logger.stopping = lambda: first.global_step == 4  # the first update of epoch 1
    with pytest.raises(Stop):
        first.train()
    first.save_on_stop()
    second = adapter(dots, tmp_path / "parts", AUGMENTED)
    second.train(1, str(tmp_path / "parts" / "checkpoints" / "latest.pth"), True)
    assert second.global_step == whole.global_step
    assert torch.equal(weights(second), weights(whole))


def test_stop_during_validation_keeps_the_epoch(tmp_path, dots):
    whole = adapter(dots, tmp_path / "whole", AUGMENTED)
    whole.train()
    first = adapter(dots, tmp_path / "parts", AUGMENTED, logger=TrainingLogger())

    def stop():
        if getattr(first, "global_step", 0):
            raise Stop

    first.logger.before_metrics = stop
    with pytest.raises(Stop):
        first.train()
    first.save_on_stop()
    second = adapter(dots, tmp_path / "parts", AUGMENTED)
    results = second.train(0, str(tmp_path / "parts" / "checkpoints" / "latest.pth"), True)
    assert [r.epoch for r in results] == [0, 1] and second.global_step == whole.global_step
    assert torch.equal(weights(second), weights(whole))


CHANGES = {
    "optimizer.type": ({}, "sgd"), "optimizer.learning_rate": ({}, 0.05), "optimizer.weight_decay": ({}, 0.5),
    "optimizer.momentum": ({"optimizer.type": "sgd"}, 0.1), "optimizer.nesterov": ({"optimizer.type": "sgd"}, True),
    "optimizer.beta1": ({}, 0.5), "optimizer.beta2": ({}, 0.5), "optimizer.eps": ({}, 0.1),
    "scheduler.type": ({}, "none"), "scheduler.T_max": ({}, 5), "scheduler.eta_min": ({}, 0.005),
    "scheduler.step_size": ({"scheduler.type": "step", "scheduler.step_size": 2}, 1),
    "scheduler.gamma": ({"scheduler.type": "step", "scheduler.step_size": 1}, 0.5), "scheduler.warmup_epochs": ({}, 1),
    "augmentation.enabled": ({}, True), "augmentation.random_flip": ({"augmentation.enabled": True}, False),
    "augmentation.random_crop": ({"augmentation.enabled": True}, 2), "augmentation.rotation": ({"augmentation.enabled": True}, 45.0),
    "augmentation.color_jitter": ({"augmentation.enabled": True}, 0.5), "gradient_clip_value": ({}, 1e-3),
    "gradient_accumulation": ({}, 2), "label_smoothing": ({}, 0.2), "ema_decay": ({}, 0.5), "drop_last": ({}, True),
    "early_stopping.patience": ({}, 1),
}
BASE = {"optimizer.type": "adamw", "scheduler.type": "cosine", "optimizer.weight_decay": 0.01}


@pytest.mark.parametrize("field", [f.name for f in standard_schema().fields if f.name != "mixed_precision"])
def test_every_setting_is_applied(tmp_path, dots, field):
    """A changed value shows in the framework's own objects and in what comes out."""
    given, value = CHANGES[field]
    base = adapter(dots, tmp_path / "a", BASE | given)
    base_results = base.train()
    changed = adapter(dots, tmp_path / "b", BASE | given | {field: value})
    results = changed.train()
    assert changed.applied_config()[field] == value != base.applied_config().get(field)
    if field == "early_stopping.patience":
        return  # decides when to stop, see test_early_stopping
    different = [r.train_loss for r in results] != [r.train_loss for r in base_results] or not torch.equal(weights(base), weights(changed))
    if field == "ema_decay":
        different = [r.val_loss for r in results] != [r.val_loss for r in base_results]
    assert different, f"{field} = {value} changed nothing"


def test_mixed_precision_is_told_inactive_on_a_cpu(tmp_path, dots):
    a = adapter(dots, tmp_path, {"mixed_precision": True}, epochs=1)
    a.train()
    assert a.applied_config()["mixed_precision"] is False


def test_early_stopping(tmp_path, dots):
    a = adapter(dots, tmp_path, {"early_stopping.patience": 2, "optimizer.learning_rate": 1e-12, "optimizer.type": "sgd",
                                 "optimizer.weight_decay": 0.0}, epochs=20, monitor="f1")
    assert len(a.train()) < 20


def test_schedule_is_torchs():
    p = torch.nn.Parameter(torch.zeros(1))
    for config, make in (({"type": "cosine", "T_max": 7, "eta_min": 0.01}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 7, 0.01)),
                         ({"type": "step", "step_size": 3, "gamma": 0.5}, lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5))):
        optimizer = torch.optim.SGD([p], lr=0.3)
        scheduler, ours = make(optimizer), Schedule(config, 7, 0.3)
        for epoch in range(7):
            assert ours.lr(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
            optimizer.step()
            scheduler.step()


def test_ema_follows_the_rule():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = EMA(model, 0.9)
    for value, average in ((1.0, 1.0), (2.0, 0.9 * 1.0 + 0.1 * 2.0)):  # it starts at the first updated weights
        with torch.no_grad():
            model.weight.fill_(value)
        ema.update(model)
        assert ema.model.weight.item() == pytest.approx(average)


def test_micro_batches_halve_and_keep_the_gradient():
    told, calls = [], []

    def step(x, y, share):
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        calls.append((len(x), share))
        return share

    micro = MicroBatches(8, told.append)
    assert micro.run(torch.zeros(7, 1), torch.zeros(7), step, lambda: None) == pytest.approx(1.0)
    assert micro.size == 2 and [c[0] for c in calls] == [2, 2, 2, 1] and len(told) == 2


def test_figures():
    metrics, per_class = figures([[3, 1], [0, 4]], ["cat", "dog"])
    assert metrics["accuracy"] == 0.875
    assert per_class["dog"] == {"precision": 0.8, "recall": 1.0, "f1": pytest.approx(8 / 9), "support": 4.0}


def step_task(tmp_path, data, attempt, resume):
    folder = tmp_path / "run" / "attempts" / str(attempt)
    folder.mkdir(parents=True)
    task = {"v": 1, "pipeline": "p", "address": "train.a", "run_id": "r", "job_id": 1, "attempt": attempt, "kind": "train", "adapter": "tiny",
            "task": "image_classification", "run_dir": str(tmp_path / "run"), "attempt_dir": str(folder), "resume": resume,
            "model": {"name": "tiny", "image_size": 16}, "dataset": {"name": "d", "format": "imagefolder", "path": str(data), "classes": []},
            "train": {"epochs": 6, "batch_size": 4, "learning_rate": 0.01, "seed": 3, "device": "cpu", "num_workers": 0, "monitor": "accuracy",
                      "mode": "max", "config": {"optimizer.type": "sgd", "augmentation.enabled": True}, "written": ["optimizer.type"], "checkpoint": {}}}
    (folder / "task.json").write_text(json.dumps(task))
    return folder


def run_step(folder, kill_after=None, source=HERE / "tiny_adapter.py"):
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.Popen([sys.executable, "-P", "-m", "platform_sdk.step", str(folder / "task.json"), "--adapter", str(source)],
                               env=env, cwd=source.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if kill_after:
        deadline = time.time() + 60
        while time.time() < deadline and not ((folder / "events.ndjson").exists() and kill_after in (folder / "events.ndjson").read_text()):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    process.wait(90)
    return [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines() if line.endswith("}")]


def losses(events):
    return {e["metrics"]["epoch"]: e["metrics"]["values"]["loss"] for e in events if e["type"] == "metrics" and e["metrics"]["split"] == "train"}


def test_kill_and_resume_under_the_protocol(tmp_path, dots):
    whole = losses(run_step(step_task(tmp_path / "whole", dots, 1, False)))
    assert sorted(whole) == [1, 2, 3, 4, 5, 6]
    first = run_step(step_task(tmp_path / "parts", dots, 1, False), kill_after='"name": "epoch_2"')
    second = run_step(step_task(tmp_path / "parts", dots, 2, True))
    resumed = next(e["resumed"] for e in second if e["type"] == "resumed")
    kept = {k: v for k, v in losses(first).items() if k <= resumed["epoch"]}
    assert kept | losses(second) == whole
    types = [e["type"] for e in second]
    assert types.index("config_applied") < types.index("resumed") < types.index("metrics")
    assert second[-1]["result"]["state"] == "completed"


def test_a_kill_within_an_epoch_costs_what_came_after_the_last_save(tmp_path, dots):
    source = tmp_path / "often.py"
    source.write_text((HERE / "tiny_adapter.py").read_text().replace("    def prepare_model", "    save_seconds = 0.0\n\n    def prepare_model"))
    whole = run_step(step_task(tmp_path / "whole", dots, 1, False))
    first = run_step(step_task(tmp_path / "parts", dots, 1, False), kill_after='"name": "latest"', source=source)
    assert not losses(first), "the first epoch was over before it could be killed"
    second = run_step(step_task(tmp_path / "parts", dots, 2, True))
    resumed = next(e["resumed"] for e in second if e["type"] == "resumed")
    assert 1 <= resumed["global_step"] < 9 and Path(resumed["checkpoint"]).name == "latest.pth"
    assert losses(second) == losses(whole)
    assert second[-1]["result"]["metrics"] == whole[-1]["result"]["metrics"]


def test_saves_within_an_epoch_take_a_twentieth_of_the_time(tmp_path, dots, monkeypatch):
    a = adapter(dots, tmp_path)
    now = [1000.0]
    monkeypatch.setattr("platform_sdk.base.time.monotonic", lambda: now[0])
    saved = []

    def save():
        saved.append(now[0])
        now[0] += 3.0

    a._saved = now[0]
    for _ in range(400):
        now[0] += 1.0
        a._save_when_due(save)
    assert saved[0] == 1030.0 and all(later - earlier >= 63.0 for earlier, later in zip(saved, saved[1:])) and len(saved) == 7


def test_a_full_disk_within_an_epoch_is_told(tmp_path, dots):
    spool = Spool(tmp_path, 1)
    a = adapter(dots, tmp_path / "out", logger=TrainingLogger(sink=spool))
    a.save_seconds = 0.0

    def full():
        raise OSError(28, "No space left on device")

    a._save_when_due(full)
    assert "no checkpoint could be written within the epoch: [Errno 28] No space left on device" in spool.path.read_text()


def test_a_kill_between_a_checkpoint_and_its_other_names_loses_neither(tmp_path, dots):
    """The last epoch's file is there; latest and best are not yet."""
    source = tmp_path / "dying.py"
    source.write_text((HERE / "tiny_adapter.py").read_text() + f"""
import os, signal
from pathlib import Path
from platform_sdk import checkpoints
link, died = checkpoints.link, Path({str(tmp_path / "died")!r})
def dying(source, path):
    if not died.exists():
        died.touch()
        Path(path).with_name(".epoch_0.pth.half").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return link(source, path)
checkpoints.link = dying
""")
    written = tmp_path / "run" / "checkpoints"
    for attempt, names in ((1, ["epoch_0.pth"]), (2, ["best.pth", "epoch_0.pth", "latest.pth"])):
        folder = step_task(tmp_path, dots, attempt, attempt > 1)
        task = json.loads((folder / "task.json").read_text())
        task["train"]["epochs"] = 1
        (folder / "task.json").write_text(json.dumps(task))
        events = run_step(folder, source=source)
        assert sorted(p.name for p in written.glob("*.pth")) == names
    result = events[-1]["result"]
    assert result["state"] == "completed" and result["best"]["epoch"] == result["latest"]["epoch"] == 1
    assert result["metrics"]["accuracy"] == result["best"]["metrics"]["accuracy"]
    assert not list(written.glob(".epoch_0*")) and len({p.stat().st_ino for p in written.glob("*.pth")}) == 1, "three names of one file"


def test_the_best_of_another_run_comes_along(tmp_path):
    def file(path, epoch, accuracy):
        checkpoints.save(path, epoch=epoch, model=torch.nn.Linear(1, 1), metrics={"accuracy": accuracy})
        return path

    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    start = file(old / "epoch_2.pth", 2, 0.5)
    checkpoints.settle(new, start, "accuracy")
    assert checkpoints.summary(new / "best.pth")["epoch"] == 2
    (new / "best.pth").unlink()
    file(old / "best.pth", 1, 0.7)
    checkpoints.settle(new, start, "accuracy")
    assert checkpoints.summary(new / "best.pth")["epoch"] == 1 and not (new / "latest.pth").exists()
    checkpoints.settle(new, file(new / "epoch_3.pth", 3, 0.6), "accuracy")
    assert checkpoints.summary(new / "best.pth")["epoch"] == 1 and checkpoints.summary(new / "latest.pth")["epoch"] == 3
    file(old / "best.pth", 4, 0.9)  # of an epoch that comes after the start
    checkpoints.settle(new, start, "accuracy", smaller=True)
    assert checkpoints.summary(new / "best.pth")["epoch"] == 2


def test_a_folder_of_anything_around_the_adapter_does_no_harm(tmp_path, dots):
    place = tmp_path / "pipeline"
    for folder in ("datasets", "torch", "torchvision"):
        (place / folder).mkdir(parents=True)
    for module in ("numpy", "random", "PIL"):
        (place / f"{module}.py").write_text("raise SystemExit('the wrong one')")
    shutil.copy(HERE / "tiny_adapter.py", place / "tiny_adapter.py")
    events = run_step(step_task(tmp_path / "run", dots, 1, False), source=place / "tiny_adapter.py")
    assert events[-1]["result"]["state"] == "completed"


def test_spool_is_used_by_the_logger(tmp_path, dots):
    spool = Spool(tmp_path, 1)
    adapter(dots, tmp_path / "out", logger=TrainingLogger(sink=spool), epochs=1).train()
    events = [json.loads(line) for line in spool.path.read_text().splitlines()]
    validation = next(e["validation"] for e in events if e["type"] == "validation")
    assert validation["classes"] == ["left", "right"] and len(validation["confusion_matrix"]) == 2
    assert {name: curve["recall"][-1] for name, curve in validation["pr_curves"].items()} == {"left": 1, "right": 1}
    assert [c["checkpoint"]["name"] for c in events if c["type"] == "checkpoint"] == ["epoch_1", "best"]  # latest is the same file


def test_order_is_the_native_engines():
    # engine/rng: New(7, "shuffle", 3).Perm(10)
    assert epoch_order(10, 7, 3) == [4, 5, 1, 9, 7, 0, 2, 8, 6, 3]
    assert sorted(epoch_order(1001, -1, 0)) == list(range(1001)) and epoch_order(1, 7, 3) == [0] and epoch_order(0, 7, 3) == []


def test_old_checkpoints_make_room(tmp_path, dots):
    a = adapter(dots, tmp_path, {"optimizer.learning_rate": 1e-12}, epochs=6)
    a.checkpoint_policy = {"keep_last": 2, "keep_best": 1, "keep_every": 2}
    a.train()
    kept = {p.stem for p in (tmp_path / "checkpoints").glob("epoch_*.pth")}
    best = min(a._metrics, key=lambda e: (-a._metrics[e]["accuracy"], e))
    assert kept == {f"epoch_{e}" for e in {1, 3, 4, 5, best}}
    assert (tmp_path / "checkpoints" / "best.pth").exists() and (tmp_path / "checkpoints" / "latest.pth").exists()


def test_checkpoints_are_written_as_often_as_asked(tmp_path, dots):
    a = adapter(dots, tmp_path, {"optimizer.learning_rate": 1e-12}, epochs=5, monitor="top5_accuracy")  # 1 from the beginning
    a.checkpoint_policy = {"every": 3, "keep_last": 9}
    a.train()
    assert {p.stem for p in (tmp_path / "checkpoints").glob("epoch_*.pth")} == {"epoch_0", "epoch_2", "epoch_4"}


def test_a_last_batch_of_one_image_is_left_out_under_batch_norm(tmp_path, dots):
    a = adapter(dots, tmp_path, epochs=1, batch_size=7)  # 36 images
    a.train()
    assert a.global_step == 5 and a.totals[1] == 35


def test_images_are_turned_as_their_camera_says(tmp_path):
    from PIL import Image

    image = Image.new("RGB", (4, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert Images([(str(tmp_path / "a.jpg"), 0)], lambda i: i.size, 0)[0][0] == (2, 4)


def test_images_are_cut_and_not_squeezed(tmp_path, dots):
    a = adapter(dots, tmp_path)
    a.crop_pct = 0.5
    shape = [type(s).__name__ for s in a.val_transform().transforms]
    assert shape == ["Resize", "CenterCrop", "ToTensor", "Normalize"] and a.resize()[0].size == 32


def test_samples_are_the_worst_errors_and_some_of_the_rest():
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]] + [[9.0, 0.0]] * 17)
    samples = Samples([f"{i}.png" for i in range(20)])
    samples.add(logits[:2], torch.tensor([0, 0]))
    samples.add(logits[2:], torch.tensor([0] * 18))
    told = samples.figures()
    assert [t["path"] for t in told[:3]] == ["1.png", "2.png", "0.png"] and len(told) == 2 + 16
    assert told[0] == {"path": "1.png", "label": 0, "prediction": 1, "confidence": pytest.approx(0.9526, abs=1e-4), "loss": pytest.approx(3.0486, abs=1e-4)}


def test_an_unknown_monitor_is_named(tmp_path, dots):
    with pytest.raises(Exception, match="monitor = 'map50' is none of what this adapter reports: accuracy"):
        adapter(dots, tmp_path, epochs=1, monitor="map50").train()


def test_the_result_is_of_validation_and_the_model_is_published(tmp_path, dots):
    result = run_step(step_task(tmp_path, dots, 1, False))[-1]["result"]
    names = {"accuracy", "f1", "loss", "precision", "recall", "top5_accuracy"}
    assert set(result["metrics"]) == set(result["last_metrics"]) == set(result["best"]["metrics"]) == names
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (artifact,) = result["artifacts"]
    assert artifact["name"] == "model.onnx" and Path(artifact["path"]).stat().st_size == artifact["size"]
