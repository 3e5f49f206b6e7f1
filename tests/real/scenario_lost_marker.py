"""A transaction that was committed, and whose markers the brokers lost: goldwire goes on by itself.

Kafka loses them when it dies between the decision and the markers, and leads the same partitions again
(seen with 4.3 about once in fifteen kills). Here it is made sure of: the broker is killed with a
transaction of goldwire's name open in the changelog and in the group's offset, and what its coordinator
wrote down of that transaction is cut off, so that the coordinator knows of nothing to end.
"""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from generator import Event, histories
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from servers import Servers

APP, SINK, TOPIC = "lost-marker", "lines", "reltio.acme.lost-marker"
GROUP = f"{APP}.{SINK}"
FIRST, SECOND = 200, 300


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    events = histories(100, FIRST + SECOND, random.Random(31))
    servers.kafka.create_topic(TOPIC, 1)
    folder = servers.folder / APP
    goldwire = Goldwire(
        folder, APP, {SOURCE: kafka_source(servers.kafka, TOPIC, f"{APP}-ingest")},
        {SINK: {"file": {"dir": str(folder / "out"), "keeps_erased_records": True}}}, None,
        {"log": {"kafka": {"bootstrap_servers": servers.kafka.plain, "partitions": 1, "replication": 1}}},
    )  # fmt: skip
    send(servers, events[:FIRST])
    goldwire.start()
    wait_for("the first events to be written", 60, lambda: written(folder) >= FIRST)
    goldwire.wait_idle(f"{APP}-ingest", 60)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    lose_markers(servers)
    goldwire.start()
    send(servers, events[FIRST:])
    wait_for("the events after the restart to be written", 60, lambda: written(folder) >= FIRST + SECOND)
    goldwire.wait_idle(f"{APP}-ingest", 60)
    log = goldwire.log.read_text()
    expect("its marker is missing: one was written" in log, "goldwire wrote no marker")
    expect("was committed again" in log, "goldwire did not commit the restored position again")
    lag = servers.kafka.group_lag(GROUP)
    expect(not any(lag.values()), f"kafka-consumer-groups shows {lag}")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    count = written(folder)
    expect(count == FIRST + SECOND, f"{count} changes are written of {FIRST + SECOND}")
    return f"{count} changes, each once; markers were missing in the changelog and in the group's offsets"


def send(servers: Servers, events: list[Event]) -> None:
    """Sends events to the source's topic."""
    producer = Producer({"bootstrap.servers": servers.kafka.plain, "acks": "all"})
    for event in events:
        producer.produce(TOPIC, event.body, headers=event.headers())
    expect(producer.flush(30) == 0, "events were not sent")


def written(folder: Path) -> int:
    """Lines that the sink wrote."""
    return sum(len(file.read_bytes().splitlines()) for file in (folder / "out").rglob("*.ndjson"))


def lose_markers(servers: Servers) -> None:
    """Leaves a transaction of goldwire's name open, of which the coordinator knows nothing."""
    told = servers.kafka.tool("TransactionsCommand", "list")
    name = re.search(rf"^({re.escape(GROUP)}/\S+)", told, re.MULTILINE)
    expect(name is not None, f"goldwire has no transactional id: {told}")
    producer = Producer({"bootstrap.servers": servers.kafka.plain, "transactional.id": name[1]})
    producer.init_transactions(30)
    # The broker's memory of transactions, as it is before this one.
    state = servers.kafka.broker.folder / "data"
    sizes = {file: file.stat().st_size for file in state.glob("__transaction_state-*/*.log")}
    group = Consumer({"bootstrap.servers": servers.kafka.plain, "group.id": GROUP, "enable.auto.commit": False})
    (committed,) = group.committed([TopicPartition(f"{APP}.events", 0)], timeout=30)
    expect(committed.offset >= 0, f"the sink's group has no offset: {committed}")
    producer.begin_transaction()
    # As a takeover's marker, which says nothing of any subject.
    producer.produce(f"{APP}.{SINK}.changelog", key=b"m/takeover", value=b"", partition=0)
    producer.send_offsets_to_transaction([committed], group.consumer_group_metadata(), 30)
    expect(producer.flush(30) == 0, "the open transaction has no record")
    servers.kafka.stop(signal.SIGKILL)
    group.close()
    for file, size in sizes.items():
        os.truncate(file, size)
    servers.kafka.start()
