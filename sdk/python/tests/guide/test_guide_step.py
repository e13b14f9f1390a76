"""The guide's adapter under the run protocol: proof, resume, unreadable checkpoints."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ADAPTER = str(HERE / "adapters" / "myframework_adapter.py")
SDK = str(HERE.parents[1])


def make_task(tmp_path, dataset, attempt=1, resume=False, config=None, written=(), epochs=3):
    attempt_dir = tmp_path / "run" / "attempts" / str(attempt)
    attempt_dir.mkdir(parents=True, exist_ok=True)
    config = {"optimizer.type": "adam", "optimizer.learning_rate": 1e-3, "scheduler.type": "none"} if config is None else config
    task = {
        "v": 1, "pipeline": "p", "address": "train.a", "run_id": "r1", "job_id": 7, "attempt": attempt, "kind": "train",
        "adapter": "myframework", "task": "image_classification", "run_dir": str(tmp_path / "run"),
        "attempt_dir": str(attempt_dir), "resume": resume,
        "model": {"name": "my_resnet50", "image_size": 32, "num_classes": 2},
        "dataset": {"name": "d", "format": "imagefolder", "path": str(dataset), "fingerprint": "", "classes": ["blue", "red"], "index_path": ""},
        "train": {"epochs": epochs, "batch_size": 4, "learning_rate": 1e-3, "seed": 1, "device": "cpu", "num_workers": 0,
                  "monitor": "accuracy", "mode": "max", "config": config, "written": list(written), "checkpoint": {}},
    }
    path = attempt_dir / "task.json"
    path.write_text(json.dumps(task))
    return path


def run_step(task, **kw):
    env = {**os.environ, "PYTHONPATH": f"{SDK}:{HERE}"}
    done = subprocess.run([sys.executable, "-P", "-m", "platform_sdk.step", str(task), "--adapter", ADAPTER],
                          env=env, capture_output=True, text=True, timeout=120, **kw)
    events = [json.loads(line) for line in (task.parent / "events.ndjson").read_text().splitlines()]
    return done, events


def of(events, kind):
    return [e[kind] for e in events if e["type"] == kind]


def test_a_training_reports_everything(tmp_path, tiny_imagefolder):
    done, events = run_step(make_task(tmp_path, tiny_imagefolder, written=["optimizer.type"]))
    assert done.returncode == 0, done.stderr
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    kinds = [e["type"] for e in events]
    assert kinds.index("config_applied") < min(kinds.index("metrics"), kinds.index("checkpoint"))
    applied = of(events, "config_applied")[0]
    assert applied["proof"] == "read" and applied["values"]["optimizer.type"] == "adam"
    assert {m["epoch"] for m in of(events, "metrics")} == {1, 2, 3}
    names = {c["name"] for c in of(events, "checkpoint")}
    assert {"epoch_1", "epoch_2", "epoch_3", "latest"} <= names
    result = of(events, "result")[-1]
    assert result["state"] == "completed" and "accuracy" in result["metrics"] and result["latest"]["sha256"]
    assert kinds[-1] == "result"


def test_a_written_setting_that_is_never_read_fails(tmp_path, tiny_imagefolder):
    # The guide's adapter declares gradient_clip_value and never reads it.
    config = {"optimizer.type": "adam", "gradient_clip_value": 1.0}
    done, events = run_step(make_task(tmp_path, tiny_imagefolder, config=config, written=["gradient_clip_value"]))
    assert done.returncode == 1
    result = of(events, "result")[-1]
    assert result["cause"] == "config" and "gradient_clip_value" in result["error"]
    assert not of(events, "checkpoint"), "no checkpoint is announced of a run that ignores its config"


def test_a_preset_setting_that_is_never_read_is_only_warned_of(tmp_path, tiny_imagefolder):
    config = {"optimizer.type": "adam", "gradient_clip_value": 1.0}
    done, events = run_step(make_task(tmp_path, tiny_imagefolder, config=config))
    assert done.returncode == 0, done.stderr
    assert any("gradient_clip_value" in m["text"] and m["level"] == "warning" for m in of(events, "message"))


def test_resume_passes_over_an_unreadable_checkpoint(tmp_path, tiny_imagefolder):
    done, _ = run_step(make_task(tmp_path, tiny_imagefolder, epochs=2))
    assert done.returncode == 0
    folder = tmp_path / "run" / "checkpoints"
    for name in ("latest.pth", "epoch_1.pth"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    done, events = run_step(make_task(tmp_path, tiny_imagefolder, attempt=2, resume=True, epochs=3))
    assert done.returncode == 0, done.stderr
    assert of(events, "resumed")[0]["epoch"] == 1
    assert {m["epoch"] for m in of(events, "metrics")} == {2, 3}
    assert any("unreadable" in m["text"] for m in of(events, "message"))


def test_sigterm_ends_cancelled_and_resumes(tmp_path, tiny_imagefolder):
    task = make_task(tmp_path, tiny_imagefolder, epochs=5000)
    env = {**os.environ, "PYTHONPATH": f"{SDK}:{HERE}"}
    process = subprocess.Popen([sys.executable, "-P", "-m", "platform_sdk.step", str(task), "--adapter", ADAPTER], env=env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    spool = task.parent / "events.ndjson"
    deadline = time.time() + 60
    while time.time() < deadline and not (spool.exists() and '"name": "latest"' in spool.read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 8
    events = [json.loads(line) for line in spool.read_text().splitlines()]
    assert of(events, "result")[-1]["state"] == "cancelled"
    done_epochs = max(m["epoch"] for m in of(events, "metrics"))
    done, more = run_step(make_task(tmp_path, tiny_imagefolder, attempt=2, resume=True, epochs=done_epochs + 2))
    assert done.returncode == 0, done.stderr
    assert of(more, "resumed")[0]["epoch"] >= done_epochs - 1


def test_a_crash_tells_its_last_lines(tmp_path):
    done, events = run_step(make_task(tmp_path, tmp_path / "nowhere"))
    assert done.returncode == 1
    result = of(events, "result")[-1]
    assert result["state"] == "failed" and result["cause"] == "data" and "FileNotFoundError" in result["error"]
