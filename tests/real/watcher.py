"""Watches a consumer group's committed offsets from outside, with a client that is not goldwire's,
and goldwire's event log on disk: what is committed has to be there already (G1).

A process of its own: `watcher.py BOOTSTRAP GROUP TOPIC PARTITIONS SOURCE LOG FILE` appends a line of
JSON, `[time, {partition: committed}, {partition: durable}]`, ten times a second, until it is told to
stop. Offsets are asked before the log is read, so that what was committed was durable before.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from journal import Journal

EVERY = 0.1


@dataclass(frozen=True)
class Watched:
    """A group on a topic, and the event log of who reads it."""

    bootstrap: str
    group: str
    topic: str
    partitions: int
    source: str
    log: Path

    def client(self) -> Consumer:
        """A client that asks about the group and never joins it."""
        return Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": self.group,
            "enable.auto.commit": False, "log_level": 0,
        })  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Committed and durable positions by partition, in this order."""

    committed: dict[int, int]
    durable: dict[int, int]

    def broken(self) -> list[str]:
        """Partitions that are committed further than the event log reaches."""
        return [
            f"partition {partition} is committed to {offset}, but record {self.durable[partition]} "
            "is not in the event log"
            for partition, offset in self.committed.items()
            if offset > self.durable[partition]
        ]


class Watcher:
    """Looks from outside, again and again."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.consumer = watched.client()
        self.journal = Journal(watched.log)

    def committed(self) -> dict[int, int] | None:
        """Committed offsets by partition, 0 where there is none; nothing if the broker is away."""
        topic = self.watched.topic
        asked = [TopicPartition(topic, partition) for partition in range(self.watched.partitions)]
        try:
            answer = self.consumer.committed(asked, timeout=5)
        except KafkaException:
            return None
        if any(of.error for of in answer):
            return None
        return {of.partition: max(of.offset, 0) for of in answer}

    def look(self) -> Seen | None:
        """What is committed now, and durable since then at the latest."""
        committed = self.committed()
        if committed is None:
            return None
        self.journal.look()
        source, topic = self.watched.source, self.watched.topic
        return Seen(
            committed, {of: self.journal.durable_below(source, topic, of) for of in committed}
        )


def watch(watched: Watched, file: Path) -> None:
    """Writes what is seen until the process is ended."""
    watcher = Watcher(watched)
    with file.open("a") as out:
        while True:
            began = time.time()
            seen = watcher.look()
            if seen is not None:
                out.write(json.dumps([began, seen.committed, seen.durable]) + "\n")
                out.flush()
            time.sleep(max(0.0, began + EVERY - time.time()))


def observations(file: Path) -> list[tuple[float, Seen]]:
    """What was written, in order, each with its time."""
    # The last line may be half of one.
    lines = file.read_text().rpartition("\n")[0].splitlines()
    rows = [json.loads(line) for line in lines]
    numbered = lambda of: {int(partition): offset for partition, offset in of.items()}  # noqa: E731
    return [(at, Seen(numbered(committed), numbered(durable))) for at, committed, durable in rows]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    bootstrap, group, topic, partitions, source, log, file = sys.argv[1:]
    watch(Watched(bootstrap, group, topic, int(partitions), source, Path(log)), Path(file))
