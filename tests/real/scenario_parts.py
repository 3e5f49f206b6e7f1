"""One configuration in three instances over a log in Kafka: one ingests, each of the others runs one of
the two sinks; the second of them starts when everybody else is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generator import load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from send import TopicSender
from servers import Servers

TOPIC, GROUP, PARTITIONS = "reltio.acme.parts", "crm-sync-parts", 4
APP = "parts"


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    events = load(41, 300, 3_000, 0, 0)
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sender = TopicSender(servers.kafka, TOPIC, PARTITIONS, events.topic, 100_000)
    sender.release().start()
    ingests = instance(servers, "ingests", "--ingest-only")
    early = instance(servers, "early", "--only", "early", "--no-ingest")
    late = instance(servers, "late", "--only", "late", "--no-ingest")
    ingests.start()
    early.start()
    sender.join(60)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    wait_for("ingest to end", 120, lambda: ingests.lags().get(GROUP, 1) == 0, every=0.5)
    wait_for("the early sink to have all", 120, lambda: lines(servers, "early") == events.truth.history, every=1)
    expect(not lines(servers, "late"), "a sink that runs nowhere has lines")
    expect(f"{APP}.late" not in early.lags(), "the early instance tells a lag of the other's sink")
    late.start()
    wait_for("the late sink to have all", 120, lambda: lines(servers, "late") == events.truth.history, every=1)
    for goldwire in (ingests, early, late):
        code = goldwire.stop()
        expect(code == 0, f"{goldwire.folder.name} stopped with exit code {code}")
    for sink in ("early", "late"):
        lag = servers.kafka.group_lag(f"{APP}.{sink}")
        expect(len(lag) == PARTITIONS and not any(lag.values()), f"{sink}: kafka-consumer-groups shows {lag}")
    return f"{len(events.truth.history)} changes at each of two sinks of two instances, read by a third; lag 0"


def instance(servers: Servers, name: str, *flags: str) -> Goldwire:
    """An instance of the same configuration, on a disk of its own."""
    log = {"kafka": {"bootstrap_servers": servers.kafka.plain, "partitions": PARTITIONS, "replication": 1}}
    sinks: dict[str, Any] = {
        sink: {"file": {"dir": str(out(servers, sink)), "keeps_erased_records": True}} for sink in ("early", "late")
    }
    folder = servers.folder / f"{APP}-{name}"
    source = {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP)}
    made = Goldwire(folder, APP, source, sinks, more={"log": log})
    made.flags = list(flags)
    return made


def out(servers: Servers, sink: str) -> Path:
    """Where a sink writes."""
    return servers.folder / f"{APP}-out" / sink


def lines(servers: Servers, sink: str) -> set[tuple[str, int, int]]:
    """The changes that a sink has."""
    files = [file.read_text().rpartition("\n")[0] for file in out(servers, sink).rglob("*.ndjson")]
    parsed = [json.loads(line) for text in files for line in text.splitlines()]
    return {(line["subject"], line["version"], line["commit_time"]) for line in parsed}
