"""Topics whose last offsets hold no records (markers of transactions, what was aborted, what compaction
left out): goldwire comes to rest without a lag, as `kafka-consumer-groups` tells it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from generator import Event, load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import Failed, expect, wait_for
from servers import Servers

TOPIC, GROUP, PARTITIONS = "reltio.acme.markers", "crm-sync-markers", 4
# By partition: committed; committed with an aborted one behind it; aborted only; compacted.
COMMITTED, BOTH, ABORTED, COMPACTED = range(PARTITIONS)
CLEANED = 90.0


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    events = load(23, 100, 1_000, 0, 0).topic
    make_topic(servers)
    transactions = Transactions(servers.kafka.plain)
    transactions.send(COMMITTED, events[:300], commit=True)
    transactions.send(BOTH, events[300:600], commit=True)
    transactions.send(BOTH, events[600:700], commit=False)
    transactions.send(ABORTED, events[600:700], commit=False)
    compacted = compact(servers, events[700:])
    folder = servers.folder / "markers"
    goldwire = Goldwire(
        folder, "markers", {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP)},
        {"lines": {"file": {"dir": str(folder / "out"), "keeps_erased_records": True}}},
    )  # fmt: skip
    goldwire.start()
    at_rest(servers, goldwire, "at first")
    # At rest, and only then: nothing follows that would move the position.
    transactions.send(ABORTED, events[600:700], commit=False)
    transactions.send(COMMITTED, events[:10], commit=False)
    at_rest(servers, goldwire, "after more was aborted")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    goldwire.start()
    at_rest(servers, goldwire, "after a restart")
    transactions.send(ABORTED, events[600:650], commit=True)
    at_rest(servers, goldwire, "after records behind markers")
    received = goldwire.metric("goldwire_records_received_total")
    expect(received == 50, f"{received:.0f} records were read after the restart, not 50")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    written, sure = lines(folder / "out"), changes(events[:650] + compacted)
    expect(sure <= written, f"{len(sure - written)} changes are lost")
    aborted = changes(events[650:700]) - changes(events[:650] + events[700:])
    expect(not aborted & written, f"{len(aborted & written)} changes were aborted, and are there")
    return (
        f"{len(written)} changes and none that was aborted; kafka-consumer-groups: lag 0 behind markers, "
        "an aborted end, nothing but aborted, and compaction"
    )


def make_topic(servers: Servers) -> None:
    """A topic whose segments are small enough to be compacted soon, but the newest."""
    configs = {
        "cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.001",
        "segment.ms": "1000", "max.compaction.lag.ms": "2000", "min.compaction.lag.ms": "0",
    }  # fmt: skip
    words = [word for key, value in configs.items() for word in ("--config", f"{key}={value}")]
    servers.kafka.tool("TopicCommand", "--create", "--topic", TOPIC, "--partitions", str(PARTITIONS), *words)


def at_rest(servers: Servers, goldwire: Goldwire, when: str) -> None:
    """Waits until goldwire shows no lag, and asks Kafka's own tool."""
    goldwire.wait_idle(GROUP, 60)
    lag = servers.kafka.group_lag(GROUP)
    expect(len(lag) == PARTITIONS and not any(lag.values()), f"{when}: kafka-consumer-groups shows {lag}")


def lines(folder: Path) -> set[tuple[str, int]]:
    """The changes that the file sink wrote."""
    files = [file.read_text() for file in folder.rglob("*.ndjson")]
    parsed = [json.loads(line) for text in files for line in text.splitlines()]
    return {(line["subject"], line["version"]) for line in parsed}


def changes(events: list[Event]) -> set[tuple[str, int]]:
    """Which changes events are about."""
    return {(event.uri, event.version) for event in events}


class Transactions:
    """A transactional producer."""

    def __init__(self, bootstrap: str) -> None:
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "transactional.id": "goldwire-tests-markers", "log_level": 0,
        })  # fmt: skip
        self.producer.init_transactions(30)

    def send(self, partition: int, events: list[Event], *, commit: bool) -> None:
        """One transaction, committed or aborted after the broker has its records."""
        self.producer.begin_transaction()
        for number, event in enumerate(events):
            produce(self.producer, partition, event, f"{event.uri}@{event.version}#{number}")
        if self.producer.flush(30):
            raise Failed("not every record was acknowledged")
        if commit:
            self.producer.commit_transaction(30)
        else:
            self.producer.abort_transaction(30)


def compact(servers: Servers, events: list[Event]) -> list[Event]:
    """Writes events under few keys until compaction has left gaps; the newest of each key."""
    producer = Producer({"bootstrap.servers": servers.kafka.plain, "linger.ms": 0, "log_level": 0})
    newest = {}
    for number, event in enumerate(events):
        key = f"key-{number % 20}"
        newest[key] = event
        produce(producer, COMPACTED, event, key)
        if number % 100 == 0:
            producer.flush(30)
            # A segment begins with the first record that comes after `segment.ms`.
            time.sleep(1.1)
    expect(producer.flush(30) == 0, "not every record was acknowledged")
    wait_for("compaction", CLEANED, lambda: count(servers, len(events)) < len(events) // 2, every=2)
    return list(newest.values())


def produce(producer: Producer, partition: int, event: Event, key: str) -> None:
    """One record, as Reltio streams it."""
    headers = list(event.headers().items())
    producer.produce(TOPIC, event.body, key=key, partition=partition, headers=headers)


def count(servers: Servers, end: int) -> int:
    """How many records the compacted partition holds; its end is `end`."""
    reader = Consumer({
        "bootstrap.servers": servers.kafka.plain, "group.id": "goldwire-tests-markers",
        "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 0,
    })  # fmt: skip
    reader.assign([TopicPartition(TOPIC, COMPACTED, 0)])
    found = 0
    try:
        while True:
            record = reader.poll(10)
            if record is None:
                raise Failed("the compacted partition could not be read")
            found += 1
            if record.offset() == end - 1:
                return found
    finally:
        reader.close()
