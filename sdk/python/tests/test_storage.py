"""Object storage, over a client that keeps its objects in a folder."""

import sys
import types
from pathlib import Path

import pytest
from platform_sdk import DatasetConfig, MetricsResult, ModelConfig, TrainingAdapter, TrainingConfig, TrainingLogger, get_dataset


class Folder:
    """What the SDK calls of boto3's client."""

    def __init__(self, root, endpoint):
        self.root, self.endpoint, self.fetched = root, endpoint, []

    def upload_file(self, path, bucket, key):
        target = self.root / bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())

    def download_file(self, bucket, key, path):
        self.fetched.append(key)
        Path(path).write_bytes((self.root / bucket / key).read_bytes())

    def get_paginator(self, name):
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket, Prefix):
        keys = [(str(p.relative_to(self.root / Bucket)), p.stat().st_size) for p in sorted((self.root / Bucket).rglob("*")) if p.is_file()]
        for key, size in keys:
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key.replace("UP", ".."), "Size": size}]}
        yield {}


@pytest.fixture
def store(tmp_path, monkeypatch):
    client = Folder(tmp_path / "store", None)

    def make(service, endpoint_url, **_more):
        assert service == "s3"
        client.endpoint = endpoint_url
        return client

    config = types.ModuleType("botocore.config")
    config.Config = lambda **kwargs: kwargs
    monkeypatch.setitem(sys.modules, "boto3", types.SimpleNamespace(client=make))
    monkeypatch.setitem(sys.modules, "botocore", types.ModuleType("botocore"))
    monkeypatch.setitem(sys.modules, "botocore.config", config)
    for name, value in (("R2_ENDPOINT", "http://127.0.0.1:1"), ("R2_ACCESS_KEY_ID", "k"), ("R2_SECRET_ACCESS_KEY", "s"), ("R2_BUCKET", "b")):
        monkeypatch.setenv(name, value)
    return client


def put(store, key, text):
    path = store.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_dataset_is_fetched_once(tmp_path, store):
    put(store, "data/flowers/train/rose/1.txt", "rose")
    put(store, "data/flowers/val/rose/2.txt", "more")
    put(store, "data/flowersandmore/3.txt", "of another")
    folder = Path(get_dataset("r2://data/flowers", cache_dir=str(tmp_path / "cache")))
    assert store.endpoint == "http://127.0.0.1:1"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == ["train/rose/1.txt", "val/rose/2.txt"]
    assert get_dataset("s3://data/flowers/", cache_dir=str(tmp_path / "cache")) == str(folder) and len(store.fetched) == 2
    put(store, "data/flowers/val/rose/2.txt", "changed")
    get_dataset("r2://data/flowers", cache_dir=str(tmp_path / "cache"))
    assert (folder / "val/rose/2.txt").read_text() == "changed"
    with pytest.raises(FileNotFoundError, match="holds no objects"):
        get_dataset("r2://data/none", cache_dir=str(tmp_path / "cache"))


def test_an_object_is_not_written_outside(tmp_path, store):
    put(store, "data/flowers/UP/UP/evil", "x")
    with pytest.raises(ValueError, match="outside"):
        get_dataset("r2://data/flowers", cache_dir=str(tmp_path / "cache"))
    assert not store.fetched


class Plain(TrainingAdapter):
    def prepare_model(self): ...

    def prepare_dataset(self): ...

    def train(self, start_epoch=0, checkpoint_path=None, resume_training=False):
        path = Path(self.output_dir, "checkpoints", "epoch_0.pth")
        path.write_bytes(b"\x80weights.")
        self._upload_checkpoint_to_r2(path, 0, MetricsResult(epoch=0, train_loss=1.0))
        self.wait_for_uploads()
        return []


@pytest.mark.parametrize("fails", [False, True])
def test_a_checkpoint_is_uploaded_and_a_failure_does_no_harm(tmp_path, store, fails):
    told = []
    logger = TrainingLogger()
    logger.log_message = lambda text, level="INFO": told.append((level, text))
    if fails:
        store.root = tmp_path / "file" / "is" / "none"
        (tmp_path / "file").write_text("in the way")
    adapter = Plain(ModelConfig(framework="plain", task_type="image_classification", model_name="m"), DatasetConfig(dataset_path=str(tmp_path)),
                    TrainingConfig(), str(tmp_path / "out"), 7, logger=logger)
    adapter.train()
    if fails:
        assert told[0][0] == "WARNING" and "upload of epoch_0.pth failed" in told[0][1]
    else:
        assert (tmp_path / "store/b/jobs/7/checkpoints/epoch_0.pth").read_bytes() == b"\x80weights." and not told
