"""Datasets and checkpoints in object storage (S3, R2)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlparse


@dataclass(frozen=True)
class Bucket:
    """One bucket with the credentials of the environment. Values of
    credentials appear in no message."""

    name: str
    endpoint: Optional[str] = None

    @classmethod
    def from_environment(cls, name: Optional[str] = None) -> Optional["Bucket"]:
        """The bucket of R2_BUCKET (or ``name``) when R2_ENDPOINT and the two
        keys are set; None otherwise."""
        name = name or os.environ.get("R2_BUCKET")
        needed = ("R2_ENDPOINT", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY")
        if not name or any(not os.environ.get(n) for n in needed):
            return None
        return cls(name, os.environ["R2_ENDPOINT"])

    def client(self) -> Any:
        """A boto3 client. R2 refuses the checksums that newer clients add on
        their own, so they are sent only where the service requires them."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise RuntimeError("object storage needs boto3: pip install 'platform-sdk[s3]'") from error
        return boto3.client(
            "s3", endpoint_url=self.endpoint,
            aws_access_key_id=os.environ.get("R2_ACCESS_KEY_ID"), aws_secret_access_key=os.environ.get("R2_SECRET_ACCESS_KEY"),
            config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required",
                          retries={"max_attempts": 5, "mode": "standard"}))

    def upload(self, path: Path, key: str) -> None:
        """Uploads one file under a key."""
        self.client().upload_file(str(path), self.name, key)

    def download(self, prefix: str, folder: Path) -> int:
        """Downloads every object under a prefix into a folder; a file of the
        right size is not fetched again. Returns how many objects there are."""
        client, count = self.client(), 0
        root = folder.resolve()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            for item in page.get("Contents", []):
                relative = item["Key"][len(prefix):].lstrip("/")
                if not relative or relative.endswith("/"):
                    continue
                target = (root / relative).resolve()
                if root not in target.parents:
                    raise ValueError(f"object {item['Key']!r} would be written outside {root}")
                count += 1
                if target.exists() and target.stat().st_size == item["Size"]:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name("." + target.name + ".partial")
                client.download_file(self.name, item["Key"], str(partial))
                os.replace(partial, target)
        return count


def get_dataset(dataset: str, cache_dir: Optional[str] = None) -> str:
    """Returns a local folder for a dataset: a path as it is, ``s3://bucket/prefix``
    and ``r2://bucket/prefix`` downloaded once into ``cache_dir``
    (``~/.cache/trainwright/datasets``).

    Raises FileNotFoundError for a path that does not exist and RuntimeError
    when R2_ENDPOINT, R2_ACCESS_KEY_ID or R2_SECRET_ACCESS_KEY is missing.

    >>> get_dataset("/") == str(Path("/"))
    True
    """
    url = urlparse(dataset)
    if url.scheme not in ("s3", "r2"):
        path = Path(dataset).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"dataset {dataset} does not exist; give a folder, or s3://bucket/prefix")
        return str(path.resolve())
    bucket = Bucket.from_environment(url.netloc)
    if bucket is None:
        raise RuntimeError(f"{dataset} needs R2_ENDPOINT, R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY in the environment")
    cache = Path(cache_dir or Path.home() / ".cache" / "trainwright" / "datasets")
    folder = cache / url.netloc / url.path.strip("/")
    folder.mkdir(parents=True, exist_ok=True)
    if bucket.download(url.path.strip("/") + "/", folder) == 0:
        raise FileNotFoundError(f"{dataset} holds no objects")
    return str(folder)
