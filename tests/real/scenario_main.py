"""Everything at once: topic and webhooks, ten kills, a broker that restarts; then the truth."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import warehouse
import watcher
from generator import load
from goldwire import SOURCE, Goldwire, kafka_source, webhooks
from journal import Journal
from lib import Process, expect, wait_for
from send import HookSender, TopicSender
from servers import Servers

SEED = 20260301
SUBJECTS, EVENTS, STANDARD, RELTIO = 5_000, 100_000, 3_000, 40
PARTITIONS, KILLS, BROKER_AFTER = 6, 10, 5
TOPIC, GROUP, DATABASE = "reltio.acme.main", "crm-sync-main", "main"
# What is sent takes about as long as the kills: a second and a half of work between two of them.
RATE, HOOK_RATE = 2_500, 60.0


@dataclass
class Kills:
    """What was found after the kills."""

    done: int = 0
    checked: int = 0


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    folder = servers.folder / "main"
    events = load(SEED, SUBJECTS, EVENTS, STANDARD, RELTIO)
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sink = {"warehouse": {"warehouse": {"url": servers.postgres.create(DATABASE)}}}
    sources = {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP), **webhooks()}
    goldwire = Goldwire(folder, "main", sources, sink, servers.certificates)
    goldwire.start()
    watched = folder / "committed.jsonl"
    watch = start_watcher(servers, watched)
    senders = [
        TopicSender(servers.kafka, TOPIC, PARTITIONS, events.topic, RATE),
        HookSender("standard", goldwire.webhook_port, servers.certificates.ca, events.standard, HOOK_RATE),
        HookSender("reltio", goldwire.webhook_port, servers.certificates.ca, events.reltio, 1.0),
    ]
    for sender in senders:
        sender.start()
    kills = kill_again_and_again(servers, goldwire, folder)
    for sender in senders:
        sender.join(900)
        expect(not sender.is_alive(), f"{type(sender).__name__} did not come to its end")
        expect(not sender.errors, f"{type(sender).__name__}: {sender.errors[:2]}")
    goldwire.wait_idle(GROUP, 600)
    watch.stop()
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    lag = servers.kafka.group_lag(GROUP)
    expect(len(lag) == PARTITIONS and not any(lag.values()), f"kafka-consumer-groups shows lag {lag}")
    offsets_only_grow(watched)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    compared = warehouse.compare(
        "warehouse", events.truth, *warehouse.postgres_rows(servers.postgres, DATABASE)
    )
    hooks = sum(sender.accepted for sender in senders[1:])
    retried = sum(sender.refused for sender in senders[1:])
    return (
        f"{len(events.topic)} records over SASL_SSL and {hooks} signed webhooks over HTTPS "
        f"({retried} sent again), {kills.done} kills, 1 broker restart; {kills.checked} committed "
        f"offsets found in the event log after kills; kafka-consumer-groups: lag 0; {compared}"
    )


def start_watcher(servers: Servers, file: Path) -> Process:
    """Watches the committed offsets from a process of its own."""
    script = Path(watcher.__file__)
    words = [sys.executable, str(script), servers.kafka.plain, GROUP, TOPIC, str(PARTITIONS), str(file)]
    return Process("watcher", words, servers.folder / "watcher.log")


def kill_again_and_again(servers: Servers, goldwire: Goldwire, folder: Path) -> Kills:
    """Kills goldwire while it works, and looks each time whether it had promised too much."""
    kills = Kills()
    asks = watcher.client(servers.kafka.plain, GROUP)
    journal = Journal(folder / "data" / "log")
    total = 0
    for number in range(KILLS):
        before = total

        def moved(before: int = before) -> bool:
            seen = watcher.committed(asks, TOPIC, PARTITIONS)
            return sum(max(offset, 0) for offset in seen.values()) > before

        wait_for("goldwire to commit something new", 120, moved)
        time.sleep(1.5)
        goldwire.kill()
        kills.done += 1
        committed = watcher.committed(asks, TOPIC, PARTITIONS)
        kills.checked = is_durable(journal, committed, number + 1)
        total = sum(max(offset, 0) for offset in committed.values())
        if number + 1 == BROKER_AFTER:
            goldwire.start()
            servers.kafka.stop()
            time.sleep(3)
            expect(goldwire.is_live(), "goldwire is not live while the broker is away")
            servers.kafka.start()
        else:
            goldwire.start()
    asks.close()
    return kills


def is_durable(journal: Journal, committed: dict[int, int], kill: int) -> int:
    """G1: what lies below a committed offset is in the event log. Every event of this load is
    decodable, so that dead letters excuse nothing."""
    journal.look()
    checked = 0
    for partition, offset in committed.items():
        durable = journal.durable_offsets(SOURCE, TOPIC, partition)
        missing = set(range(max(offset, 0))) - durable
        expect(
            not missing,
            f"after kill {kill}: partition {partition} is committed to {offset}, but "
            f"{len(missing)} records below are not in the event log: {sorted(missing)[:3]}",
        )
        checked += max(offset, 0)
    return checked


def offsets_only_grow(file: Path) -> None:
    """G2, seen from outside: committed offsets never go back."""
    last: dict[int, int] = {}
    rows = watcher.observations(file)
    expect(len(rows) > 20, f"the watcher saw only {len(rows)} states")
    for row in rows:
        for partition, offset in row.items():
            known = last.get(partition, -1)
            expect(offset >= known, f"partition {partition} went back from {known} to {offset}")
            last[partition] = offset
