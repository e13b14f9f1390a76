"""TrainingAdapter's own hooks for checkpoints, as an adapter with a loop of its own calls them."""

import pytest
import torch
from platform_sdk import DatasetConfig, MetricsResult, ModelConfig, TaskType, TrainingAdapter, TrainingConfig, TrainingLogger, checkpoints
from platform_sdk.events import Spool


class Mine(TrainingAdapter):
    def prepare_model(self):
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))

    def prepare_dataset(self):
        self.x = torch.linspace(-1, 1, 40).reshape(10, 4)

    def train(self, start_epoch=0, checkpoint_path=None, resume_training=False):
        torch.manual_seed(1)
        self.prepare_model()
        self.prepare_dataset()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)
        self.best = -1.0
        if checkpoint_path:
            state = self._load_checkpoint(checkpoint_path, resume_training)
            self.best = state["extra"]["best"] if resume_training else self.best
        results = []
        for epoch in range(start_epoch, self.training_config.epochs):
            loss = (self.model(self.x).sum(1) - 1).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            results.append(MetricsResult(epoch=epoch, train_loss=loss.item(), val_loss=loss.item(), metrics={"accuracy": [0.5, 0.9, 0.7, 0.6][epoch]}))
            better = results[-1].metrics["accuracy"] > self.best
            self.best = max(self.best, results[-1].metrics["accuracy"])
            self._save_checkpoint(epoch, results[-1], is_best=better)
        return results

    def _checkpoint_extra(self):
        return {"best": self.best}


def make(out, epochs=4, sink=None):
    return Mine(ModelConfig(framework="mine", task_type=TaskType.image_classification, model_name="m"), DatasetConfig(dataset_path="."),
                TrainingConfig(epochs=epochs), str(out), 1, logger=TrainingLogger(sink=sink) if sink else None)


def weights(a):
    return torch.cat([p.flatten() for p in a.model.state_dict().values()])


def test_resume_goes_on_as_if_never_stopped(tmp_path):
    whole = make(tmp_path / "whole")
    expected = whole.train()
    make(tmp_path / "parts", epochs=2).train()
    second = make(tmp_path / "parts")
    got = second.train(2, str(tmp_path / "parts" / "checkpoints" / "latest.pth"), True)
    assert [r.train_loss for r in got] == [r.train_loss for r in expected[2:]]
    assert torch.equal(weights(second), weights(whole)) and second.scheduler.state_dict() == whole.scheduler.state_dict()
    assert checkpoints.summary(tmp_path / "parts" / "checkpoints" / "best.pth")["epoch"] == 1


def test_without_resume_only_the_weights_are_taken(tmp_path):
    first = make(tmp_path / "first", epochs=2)
    first.train()
    second = make(tmp_path / "second", epochs=1)
    second.train(1, str(tmp_path / "first" / "checkpoints" / "epoch_1.pth"))  # no epoch is left to train
    assert torch.equal(weights(first), weights(second))
    assert not second.optimizer.state_dict()["state"] and second.optimizer.param_groups[0]["lr"] == 0.1


def test_files_are_announced_and_retained(tmp_path):
    spool = Spool(tmp_path, 1)
    a = make(tmp_path / "out", sink=spool)
    a.checkpoint_policy = {"keep_last": 2, "keep_best": 1}
    a.train()
    assert {p.name for p in (tmp_path / "out" / "checkpoints").iterdir()} == {"best.pth", "latest.pth", "epoch_1.pth", "epoch_2.pth", "epoch_3.pth"}
    text = spool.path.read_text()
    assert all(f'"name": "{name}"' in text for name in ("epoch_1", "epoch_2", "epoch_3", "epoch_4", "best"))
    found = checkpoints.summary(tmp_path / "out" / "checkpoints" / "epoch_1.pth")
    assert found["metrics"]["accuracy"] == 0.9 and found["metrics"]["loss"] > 0


@pytest.mark.parametrize("part", ["optimizer", "scheduler"])
def test_a_part_that_was_not_saved_is_named(tmp_path, part):
    a = make(tmp_path, epochs=1)
    a.train()
    path = tmp_path / "checkpoints" / "latest.pth"
    state = torch.load(path, weights_only=True)
    del state[f"{part}_state_dict"]
    torch.save(state, path)
    with pytest.raises(KeyError, match=f"holds no {part} state; resume with what it was saved with"):
        make(tmp_path).train(1, str(path), True)


def test_a_model_that_is_nowhere_is_told(tmp_path):
    with pytest.raises(AttributeError, match="Mine has no self.model; set it before checkpoints are saved or loaded"):
        make(tmp_path)._load_checkpoint("latest.pth")
