"""How far a place has what a group committed: goldwire's event log, embedded or in Kafka, and its
sinks. Each looks with a client that is not goldwire's, further with every call.

A place answers `below(topic, partition, offset)`: the first offset under `offset` that it lacks, or
`offset`. It is asked after `look`, and `look` after the committed offsets were, so that what was
committed was there before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from generator import TENANT
from journal import Journal, fields

ORIGIN = 21
# The field of a register (`proto/goldwire/v1/store.proto`) with a record that came too early.
EARLY = 12
# Without a record for so long, brokers do not answer.
PATIENCE = 5.0
Change = tuple[str, int, int]


class Away(Exception):
    """The place cannot be asked now."""


class Place(Protocol):
    """Where something has to be."""

    def look(self) -> None:
        """Takes in what was added since the last look."""

    def below(self, topic: str, partition: int, offset: int) -> int:
        """The first offset under `offset` that is not there."""


class Tail:
    """A whole topic, read further with every call."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "goldwire-tests-tail", "log_level": 0,
            "enable.auto.commit": False, "isolation.level": "read_committed",
            "topic.metadata.refresh.interval.ms": 1000,
            # Where a partition ends is answered after the fetch that waits for records, one after the other.
            "fetch.wait.max.ms": 10,
        })  # fmt: skip
        self.next: dict[int, int] = {}

    def read(self) -> Iterator[Message]:
        """Records up to what is there now."""
        try:
            ends, heard = self._ends(), time.monotonic()
            while any(self.next[of] < end for of, end in ends.items()):
                records = self.consumer.consume(5_000, timeout=0.2)
                for record in records:
                    if record.error() is not None:
                        raise Away(str(record.error()))
                    self.next[record.partition()] = record.offset() + 1
                    yield record
                if records or self._passed_gaps(ends):
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE:
                    raise Away(f"{self.topic} does not answer")
        except KafkaException as why:
            raise Away(str(why)) from why

    def _ends(self) -> dict[int, int]:
        if not self.next:
            found = self.consumer.list_topics(self.topic, timeout=5).topics[self.topic]
            if found.error is not None or not found.partitions:
                raise Away(f"{self.topic} is not there")
            first = {of: self.consumer.get_watermark_offsets(TopicPartition(self.topic, of), timeout=5)[0]
                     for of in found.partitions}  # fmt: skip
            self.consumer.assign([TopicPartition(self.topic, of, offset) for of, offset in first.items()])
            self.next = first
        return {of: self.consumer.get_watermark_offsets(TopicPartition(self.topic, of), timeout=5)[1]
                for of in self.next}  # fmt: skip

    def _passed_gaps(self, ends: dict[int, int]) -> bool:
        """Transaction markers are offsets without a record."""
        at = self.consumer.position([TopicPartition(self.topic, of) for of in ends])
        moved = False
        for one in at:
            if one.offset > self.next[one.partition]:
                self.next[one.partition], moved = one.offset, True
        return moved

    def close(self) -> None:
        """Leaves the brokers alone."""
        self.consumer.close()


@dataclass(frozen=True)
class Logged:
    """A record of the event log in Kafka."""

    change: Change | None
    origin: tuple[str, str, int, int]
    time: int


def logged(record: Message) -> Logged:
    """Reads the head of an `EventRecord`. One that is addressed, asks, or moves no subject is no
    change that a sink has to have."""
    head = fields(record.value(), ORIGIN + 1)
    of = fields(bytes(head.get(ORIGIN, b"")))  # type: ignore[arg-type]
    text = lambda value: bytes(value).decode()  # type: ignore[arg-type]  # noqa: E731
    change = None
    if 7 in head and 8 in head and not (head.get(13) or head.get(17)) and head.get(5):
        change = (text(head[3]), int(head[7]), int(head[8]))
    origin = (text(of.get(1, b"")), text(of.get(2, b"")), int(of.get(3, 0)), int(of.get(4, 0)))
    return Logged(change, origin, record.timestamp()[1])


class Embedded:
    """The event log in a data directory."""

    def __init__(self, source: str, log: str) -> None:
        self.source, self.journal = source, Journal(Path(log))

    def look(self) -> None:
        """Reads on."""
        self.journal.look()

    def below(self, topic: str, partition: int, offset: int) -> int:
        """The first record of the source that is not in the log."""
        return self.journal.durable_below(self.source, topic, partition)


class EventLog:
    """The event log in Kafka: records by offset, and which records of a source there are."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.tail = Tail(bootstrap, topic)
        self.origins: dict[tuple[str, str, int], set[int]] = {}
        self.records: dict[int, list[tuple[int, Logged]]] = {}

    def look(self) -> None:
        """Reads on."""
        for record in self.tail.read():
            one = logged(record)
            self.origins.setdefault(one.origin[:3], set()).add(one.origin[3])
            self.records.setdefault(record.partition(), []).append((record.offset(), one))


# One process reads a topic once, however many groups it watches.
event_log = cache(EventLog)


class Events:
    """The event log in Kafka, for the group of a source."""

    def __init__(self, bootstrap: str, events: str, source: str) -> None:
        self.source, self.log = source, event_log(bootstrap, events)
        self.first: dict[tuple[str, str, int], int] = {}

    def look(self) -> None:
        """Reads on."""
        self.log.look()

    def below(self, topic: str, partition: int, offset: int) -> int:
        """The first record of the source that is not in the log."""
        name = (self.source, topic, partition)
        offsets, below = self.log.origins.get(name, set()), self.first.get(name, 0)
        while below < offset and below in offsets:
            below += 1
        self.first[name] = below
        return below


class AtSink:
    """What a sink has of the event log in Kafka. Its kinds say which changes are there."""

    def __init__(self, bootstrap: str, events: str) -> None:
        self.events = event_log(bootstrap, events)
        self.judged: dict[int, int] = {}
        # The first record that was lacking when it was asked last, by partition.
        self.lacked: dict[int, Change] = {}

    def look(self) -> None:
        """Reads on."""
        self.events.look()

    def below(self, topic: str, partition: int, offset: int) -> int:
        """The first record of the event log that the sink lacks."""
        records = self.events.records.get(partition, [])
        at = self.judged.get(partition, 0)
        end = at
        while end < len(records) and records[end][0] < offset:
            end += 1
        due = [(place, of.change) for place, of in records[at:end] if of.change is not None]
        lacking = self.lacking([change for _, change in due]) if due else set()
        for place, change in due:
            if change in lacking:
                self.lacked[partition] = change
                return place
        self.judged[partition] = end
        # Had a committed record not been read yet, nothing would be known of it.
        known = records[-1][0] + 1 if records else 0
        return offset if self.events.tail.next.get(partition, 0) >= offset else min(known, offset)

    def lacking(self, changes: list[Change]) -> set[Change]:
        """Those of the changes that the sink has not."""
        raise NotImplementedError


class Topic(AtSink):
    """A topic of a `kafka` sink: of each subject this version or a newer one. What ended no one knows how
    is asserted again later, and what came before the creation that it follows waits for that: the
    changelog holds both in the same transaction as the position, so that neither is lacking."""

    def __init__(self, bootstrap: str, events: str, topic: str, changelog: str) -> None:
        super().__init__(bootstrap, events)
        self.changelog, self.tail = Tail(bootstrap, changelog), Tail(bootstrap, topic)
        self.newest: dict[str, int] = {}
        self.held: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Reads on. The changelog first: what is not held any more was written before."""
        super().look()
        for record in self.changelog.read():
            kind, subject = kept_subject(record.key() or b"")
            # A register may hold a record that has to wait for the creation that it follows.
            if kind and record.value() and (kind == "p" or EARLY in fields(record.value(), EARLY + 1)):
                self.held.add((kind, subject))
            else:
                self.held.discard((kind, subject))
        for record in self.tail.read():
            subject, version = record.key().decode(), version_of(record)
            self.newest[subject] = max(version, self.newest.get(subject, 0))

    def lacking(self, changes: list[Change]) -> set[Change]:
        """Changes that are newer than what the topic has."""
        return {
            change for change in changes
            if self.newest.get(change[0], 0) < change[1]
            and not any((kind, change[0]) in self.held for kind in "pr")
        }  # fmt: skip


def kept_subject(key: bytes) -> tuple[str, str]:
    """Kind and subject of a changelog's key: `p` for a pending reassertion, `r` for a register. Then
    follow the sink, 0, two bytes of partition, the tenant and the subject. Empty for every other key."""
    at = max(key.rfind(b"entities/"), key.rfind(b"relations/"))
    if key[:2] not in (b"p/", b"r/") or at < 0:
        return ("", "")
    return (key[:1].decode(), key[at:].decode())


def told(key: bytes, value: bytes | None) -> str:
    """What a record of a changelog says, for a person."""
    if value is None:
        return "removed"
    names = {
        b"r": {1: "version", 2: "commit time", 4: "state", 6: "content time", 13: "ended"},
        b"p": {7: "version", 8: "commit time"},
        b"c": {1: "position", 2: "clean", 3: "reached", 4: "restarts", 5: "cut off"},
    }.get(key[:1], {})
    found = fields(value, EARLY + 1)
    early = " and an early record" if key[:1] == b"r" and EARLY in found else ""
    return f"{len(value)} bytes " + ", ".join(f"{name} {found[of]}" for of, name in names.items() if of in found) + early


class Warehouse(AtSink):
    """PostgreSQL's history: every change is a row."""

    QUERY = f"""
SELECT subject, version, commit_time FROM golden_record_history
WHERE tenant = '{TENANT}' AND (subject, version, commit_time) IN (
  SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[]))"""

    def __init__(self, bootstrap: str, events: str, url: str) -> None:
        super().__init__(bootstrap, events)
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True

    def lacking(self, changes: list[Change]) -> set[Change]:
        """Changes that are no row."""
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(self.QUERY, [list(of) for of in zip(*changes, strict=True)])
            except psycopg2.errors.UndefinedTable:
                # goldwire makes its tables when it first comes.
                return set(changes)
            return set(changes) - set(cursor.fetchall())


class Files(AtSink):
    """Directories of `file` sinks, one for each instance: every change is a line of one of them."""

    def __init__(self, bootstrap: str, events: str, folders: list[str]) -> None:
        super().__init__(bootstrap, events)
        self.folders = [Path(folder) for folder in folders]
        self.read: dict[Path, int] = {}
        self.changes: set[Change] = set()

    def look(self) -> None:
        """Reads on."""
        super().look()
        for file in [file for folder in self.folders for file in sorted(folder.glob("*.ndjson"))]:
            with file.open("rb") as lines:
                lines.seek(self.read.get(file, 0))
                # What follows the last newline is being written, or was torn by a kill.
                whole = lines.read().rpartition(b"\n")[0]
            if whole:
                self.read[file] = self.read.get(file, 0) + len(whole) + 1
                self.changes.update(change_of(line) for line in whole.split(b"\n"))

    def lacking(self, changes: list[Change]) -> set[Change]:
        """Changes that are no line."""
        return set(changes) - self.changes


def change_of(line: bytes) -> Change:
    """The change that a line of a `file` sink is."""
    row = json.loads(line)
    return (row["subject"], row["version"], row["commit_time"])


def header(record: Message, name: str) -> str:
    """A header of a record of a `kafka` sink; empty without one."""
    return next((value.decode() for key, value in record.headers() or [] if key == name), "")


def version_of(record: Message) -> int:
    """The version that a record of a `kafka` sink is."""
    return int(header(record, "goldwire.version"))


PLACES: dict[str, Any] = {
    "embedded": Embedded, "events": Events, "topic": Topic, "warehouse": Warehouse, "files": Files,
}  # fmt: skip
