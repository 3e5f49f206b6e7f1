"""Watches a consumer group's committed offsets from outside, with a client that is not goldwire's.

A process of its own: `watcher.py BOOTSTRAP GROUP TOPIC PARTITIONS FILE` appends a line of JSON,
`[time, {partition: offset}]`, ten times a second, until it is told to stop.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition


def client(bootstrap: str, group: str) -> Consumer:
    """A client that asks about the group and never joins it."""
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})


def committed(consumer: Consumer, topic: str, partitions: int) -> dict[int, int]:
    """Committed offsets by partition; -1 where there is none."""
    asked = [TopicPartition(topic, partition) for partition in range(partitions)]
    return {of.partition: max(of.offset, -1) for of in consumer.committed(asked, timeout=10)}


def watch(bootstrap: str, group: str, topic: str, partitions: int, file: Path) -> None:
    """Writes what is seen until the process is ended."""
    consumer = client(bootstrap, group)
    with file.open("a") as out:
        while True:
            try:
                seen = committed(consumer, topic, partitions)
                out.write(json.dumps([time.time(), seen]) + "\n")
                out.flush()
            except KafkaException:
                pass  # the broker is away for a moment
            time.sleep(0.1)


def observations(file: Path) -> list[dict[int, int]]:
    """What was written, in order."""
    rows = (json.loads(line) for line in file.read_text().splitlines())
    return [{int(partition): offset for partition, offset in seen.items()} for _, seen in rows]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    watch(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
