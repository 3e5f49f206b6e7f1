"""Watches consumer groups' committed offsets from outside, with a client that is not goldwire's, and
the places where the records below them have to be: the event log for a source's group (G1), the sink
for a sink's (G2). None may pass what is there, and none may go back.

A process of its own: `watcher.py WATCHED FILE` reads what to watch as JSON, and appends a line of
JSON for each group and look, `[time, group, {partition: committed}, {partition: reached}, {partition: what is lacking}]`, ten times
a second, until it is told to stop. Offsets are asked before the place is looked at, so that what was
committed was there before.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lib import Process
from reached import PLACES, Away

EVERY = 0.1
# A new leader of a partition may show the newest acknowledged records a moment later than its
# predecessor did. What is not there yet after this long is missing.
LATE = 10.0


@dataclass(frozen=True)
class Watched:
    """A group on a topic, and the place where the records below its offsets have to be: the name of
    one of `PLACES`, and what that is made of."""

    bootstrap: str
    group: str
    topic: str
    partitions: int
    place: str
    of: dict[str, Any] = field(default_factory=dict)

    def client(self) -> Consumer:
        """A client that asks about the group and never joins it."""
        return Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": self.group,
            "enable.auto.commit": False, "log_level": 0,
            # Or there is no answer while a transaction has the group's offsets, which is nearly always.
            "isolation.level": "read_uncommitted",
        })  # fmt: skip

    def committed(self, client: Consumer) -> dict[int, int] | None:
        """Committed offsets by partition, 0 where there is none; nothing if the broker is away."""
        asked = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        try:
            answer = client.committed(asked, timeout=5)
        except KafkaException:
            return None
        if any(of.error for of in answer):
            return None
        return {of.partition: max(of.offset, 0) for of in answer}


@dataclass(frozen=True)
class Seen:
    """Committed and reached positions by partition, in this order."""

    committed: dict[int, int]
    reached: dict[int, int]
    lacking: dict[int, Any] = field(default_factory=dict)

    def broken(self) -> list[str]:
        """Partitions that are committed further than the place reaches."""
        return [
            f"partition {partition} is committed to {offset}, but record {self.reached[partition]} "
            f"is not there ({self.lacking.get(partition, 'unknown')})"
            for partition, offset in self.committed.items()
            if offset > self.reached[partition]
        ]


class Watcher:
    """Looks from outside, again and again."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.consumer = watched.client()
        self.place = PLACES[watched.place](**watched.of)

    def committed(self) -> dict[int, int] | None:
        """As `Watched.committed`."""
        return self.watched.committed(self.consumer)

    def look(self) -> Seen | None:
        """What is committed now, and reached since then at the latest."""
        committed = self.committed()
        if committed is None:
            return None
        end = time.monotonic() + LATE
        while True:
            try:
                self.place.look()
            except Away:
                return None
            topic = self.watched.topic
            reached = {of: self.place.below(topic, of, at) for of, at in committed.items()}
            seen = Seen(committed, reached, dict(getattr(self.place, "lacked", {})))
            if not seen.broken() or time.monotonic() > end:
                return seen
            time.sleep(EVERY)


def watch(watched: list[Watched], file: Path) -> None:
    """Writes what is seen until the process is ended."""
    watchers: dict[str, Watcher] = {}
    with file.open("a") as out:
        while True:
            began = time.time()
            for one in watched:
                at = time.time()
                if one.group not in watchers:
                    watchers[one.group] = Watcher(one)
                seen = watchers[one.group].look()
                if seen is not None:
                    lacking = {of: seen.lacking.get(of) for of, end in seen.committed.items()
                               if end > seen.reached[of]}  # fmt: skip
                    out.write(json.dumps([at, one.group, seen.committed, seen.reached, lacking]) + "\n")
                    out.flush()
            time.sleep(max(0.0, began + EVERY - time.time()))


def start(watched: list[Watched], file: Path) -> Process:
    """Watches from a process of its own."""
    what = file.with_suffix(".watched.json")
    what.write_text(json.dumps([asdict(one) for one in watched]))
    words = [sys.executable, __file__, str(what), str(file)]
    return Process("watcher", words, file.with_suffix(".watcher.log"))


def observations(file: Path) -> dict[str, list[tuple[float, Seen]]]:
    """What was written of each group, in order, each with its time."""
    # The last line may be half of one.
    lines = file.read_text().rpartition("\n")[0].splitlines()
    numbered = lambda of: {int(partition): offset for partition, offset in of.items()}  # noqa: E731
    rows: dict[str, list[tuple[float, Seen]]] = {}
    for at, group, *of in map(json.loads, lines):
        rows.setdefault(group, []).append((at, Seen(*map(numbered, of))))
    return rows


def broken(rows: list[tuple[float, Seen]]) -> list[str]:
    """What was seen that must not be: a position beyond what is there, or one that went back."""
    found: list[str] = []
    last: dict[int, int] = {}
    for at, row in rows:
        found += [f"at {at:.3f} {what}" for what in row.broken()]
        for partition, offset in row.committed.items():
            if offset < last.get(partition, 0):
                found.append(f"at {at:.3f} partition {partition} went back from {last[partition]} to {offset}")
            last[partition] = offset
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    what, file = map(Path, sys.argv[1:])
    watch([Watched(**one) for one in json.loads(what.read_text())], file)
