"""An S3 server: moto, which answers the protocol of S3 over HTTP, with conditional puts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import boto3
from lib import Process, free_ports, is_open, wait_for

KEY, SECRET, REGION = "goldwire-tests", "not-a-secret", "eu-central-1"


class S3:
    """A server on a loopback port, with buckets in its memory."""

    def __init__(self, folder: Path, *buckets: str) -> None:
        folder.mkdir(parents=True)
        (self.port,) = free_ports(1)
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = Process("s3", words, folder / "s3.log")
        wait_for("the S3 server", 60, lambda: is_open(self.port))
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )
        for bucket in buckets:
            self.client.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def place(self, url: str) -> dict[str, Any]:
        """The keys of a lake sink, or of its mirror, that say where its files go."""
        options = {
            "endpoint": self.url,
            "region": REGION,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
        }
        return {"url": url, "options": options, "insecure_plain_http": True}

    def sizes(self, bucket: str) -> dict[str, int]:
        """The objects of a bucket, and their bytes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def versions(self, bucket: str) -> dict[str, tuple[str, str]]:
        """The objects of a bucket: what they hold (ETag), and when they were put."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = [found for page in pages for found in page.get("Contents", [])]
        return {one["Key"]: (one["ETag"], str(one["LastModified"])) for one in found}

    def stop(self) -> None:
        """Stops it."""
        self.process.stop()
