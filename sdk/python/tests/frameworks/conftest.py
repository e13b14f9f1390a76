"""Generated data for the framework adapters, and no network."""

import os
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# These models are so small that a second thread costs more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from framework_data import one_shape, shapes  # noqa: E402


@pytest.fixture(scope="session")
def boxes_index(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="session")
def labels_index(tmp_path_factory):
    return one_shape(tmp_path_factory.mktemp("labels"))


@pytest.fixture(autouse=True)
def one_thread():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Any look-up of a name or connection fails the test."""
    asked = []

    def refuse(*args, **_kwargs):
        asked.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert asked == []
