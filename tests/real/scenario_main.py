"""Everything at once: topic and webhooks, ten kills, a broker that restarts, columns that are wanted in the
middle; then the truth."""

from __future__ import annotations

import json
import random
import statistics
import time
from itertools import pairwise
from pathlib import Path

import warehouse
import watcher
from confluent_kafka import Consumer, TopicPartition
from generator import Load, load
from goldwire import SOURCE, Goldwire, kafka_source, webhooks
from lib import expect, wait_for
from send import HookSender, TopicSender
from servers import Servers
from watcher import Watched, Watcher

SEED = 20260301
SUBJECTS, EVENTS, STANDARD, RELTIO = 5_000, 100_000, 3_000, 200
PARTITIONS, KILLS, BROKER_AFTER, COLUMNS_AFTER = 6, 10, 5, 7
TOPIC, GROUP, DATABASE = "reltio.acme.main", "crm-sync-main", "main"
# A kill costs about eight seconds, most of them until the group gives the partitions away: what is
# sent takes about as long as all the kills.
RATE, HOOK_RATE, OPENSSL_RATE = 1_000, 30.0, 2.0
LONGEST_WORK = 2.0
# The watcher looks every 0.1 s; half of its looks come no later than this after the one before.
LONGEST_GAP = 0.15


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    folder = servers.folder / "main"
    events = load(SEED, SUBJECTS, EVENTS, STANDARD, RELTIO)
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    lake = folder / "lake.db"
    sinks = {
        "warehouse": {"warehouse": {"url": servers.postgres.create(DATABASE)}},
        "lake": {"warehouse": {"url": f"sqlite:{lake}"}},
    }
    sources = {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP), **webhooks()}
    goldwire = Goldwire(folder, "main", sources, sinks, servers.certificates)
    log = {"source": SOURCE, "log": str(folder / "data" / "log")}
    watched = Watched(servers.kafka.plain, GROUP, TOPIC, PARTITIONS, "embedded", log)
    goldwire.start()
    seen = folder / "committed.jsonl"
    watch = watcher.start([watched], seen)
    topic = TopicSender(servers.kafka, TOPIC, PARTITIONS, events.topic, RATE)
    hooks = [
        HookSender("standard", [goldwire.webhook_port], servers.certificates.ca, events.standard, HOOK_RATE),
        HookSender("reltio", [goldwire.webhook_port], servers.certificates.ca, events.reltio, OPENSSL_RATE),
    ]
    for sender in [topic, *hooks]:
        sender.start()
    checked = kill_again_and_again(servers, goldwire, Watcher(watched), topic)
    topic.release()
    for sender in [topic, *hooks]:
        sender.join(300)
        expect(not sender.is_alive(), f"{type(sender).__name__} did not come to its end")
        expect(not sender.errors, f"{type(sender).__name__}: {sender.errors[:2]}")
    goldwire.wait_idle(GROUP, 300)
    expect(watch.is_alive(), f"the watcher ended: {watch.tail()}")
    watch.stop()
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    lag = servers.kafka.group_lag(GROUP)
    expect(len(lag) == PARTITIONS and not any(lag.values()), f"kafka-consumer-groups shows lag {lag}")
    looks = check_watched(seen, GROUP)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    compared = check_sinks(servers, watched, events, lake)
    accepted = sum(sender.accepted for sender in hooks)
    retried = sum(sender.refused for sender in hooks)
    return (
        f"{len(events.topic)} records over SASL_SSL and {accepted} signed webhooks over HTTPS "
        f"({retried} sent again), {KILLS} kills, 1 broker restart; {checked} records below the "
        f"committed offsets found in the event log after the kills, {looks} looks meanwhile; "
        f"kafka-consumer-groups: lag 0; {compared}"
    )


def kill_again_and_again(
    servers: Servers, goldwire: Goldwire, asks: Watcher, sender: TopicSender
) -> int:
    """Kills goldwire while it works, and looks each time whether it had promised too much (G1).
    How many records it had promised by the last kill."""
    rng = random.Random(SEED)
    total = 0
    for kill in range(1, KILLS + 1):
        wait_moved(asks, total)
        time.sleep(rng.uniform(0, LONGEST_WORK))
        expect(sender.sent < EVENTS, "everything was sent before the last kill")
        goldwire.kill()
        seen = wait_for("the committed offsets", 60, asks.look)
        # Every event of this load can be decoded, so that dead letters excuse nothing.
        expect(not seen.broken(), f"after kill {kill}: {'; '.join(seen.broken())}")
        total = sum(seen.committed.values())
        if kill == COLUMNS_AFTER:
            want_columns(goldwire)
        goldwire.start()
        if kill == BROKER_AFTER:
            wait_moved(asks, total)
            restart_broker(servers, goldwire)
            total = sum(wait_for("the committed offsets", 60, asks.committed).values())
    return total


def want_columns(goldwire: Goldwire) -> None:
    """From its next start on the warehouses have columns of attributes."""
    config = json.loads(goldwire.config.read_text())
    for sink in config["sinks"].values():
        sink["warehouse"]["columns"] = warehouse.COLUMNS
    goldwire.config.write_text(json.dumps(config, indent=2))


def wait_moved(asks: Watcher, before: int) -> None:
    """Waits until goldwire has committed more than `before` records."""

    def moved() -> bool:
        return sum((asks.committed() or {}).values()) > before

    wait_for("goldwire to commit something new", 120, moved, every=0.05)


def restart_broker(servers: Servers, goldwire: Goldwire) -> None:
    """The broker goes and comes back while goldwire works."""
    servers.kafka.stop()
    time.sleep(3)
    expect(goldwire.is_live(), "goldwire is not live while the broker is away")
    servers.kafka.start()


def check_watched(file: Path, group: str) -> int:
    """G1 and G2, seen from outside ten times a second: what is committed is in the event log, and
    committed offsets never go back. How often it was looked."""
    rows = watcher.observations(file).get(group, [])
    expect(len(rows) > 100, f"the watcher saw only {len(rows)} states")
    # The median: it is blind for as long as the broker is away, which is a few gaps of many.
    gap = statistics.median(later - at for (at, _), (later, _) in pairwise(rows))
    expect(gap <= LONGEST_GAP, f"the watcher looked every {gap:.3f} s only")
    found = watcher.broken(rows)
    expect(not found, "; ".join(found[:3]))
    return len(rows)


def check_sinks(servers: Servers, watched: Watched, events: Load, lake: Path) -> str:
    """Each sink equals the truth, and has every record below the committed offsets (G2)."""
    asks = Watcher(watched)
    committed = wait_for("the committed offsets", 60, asks.committed)
    promised = read_topic(watched, committed)
    tables = {
        "PostgreSQL": warehouse.postgres_rows(servers.postgres, DATABASE),
        "SQLite": warehouse.sqlite_rows(lake),
    }
    wrong = {
        "PostgreSQL": warehouse.postgres_wrong_columns(servers.postgres, DATABASE),
        "SQLite": warehouse.sqlite_wrong_columns(lake),
    }
    said = []
    for name, (current, history) in tables.items():
        expect(not wrong[name], f"{name}: {len(wrong[name])} rows lack columns: {wrong[name][:3]}")
        newest, rows = {row[0]: row[2] for row in current}, set(history)
        for uri, version, commit_time in promised:
            expect(newest.get(uri, -1) >= version, f"{name}: {uri} is older than version {version}")
            expect((uri, version, commit_time) in rows, f"{name}: {uri}@{version} is no history row")
        said.append(f"{name}: {warehouse.compare(name, events.truth, current, history)}")
    return f"{len(promised)} committed records are at both sinks; {', '.join(said)}"


def read_topic(watched: Watched, until: dict[int, int]) -> list[tuple[str, int, int]]:
    """Subject, version and commit time of every record of the topic below these offsets."""
    consumer = Consumer({
        "bootstrap.servers": watched.bootstrap, "group.id": "goldwire-tests-reader",
        "enable.auto.commit": False, "log_level": 0,
    })  # fmt: skip
    consumer.assign([TopicPartition(watched.topic, of, 0) for of in until])
    found: list[tuple[str, int, int]] = []
    end, wanted = time.monotonic() + 120, sum(until.values())
    while len(found) < wanted:
        expect(time.monotonic() < end, f"read only {len(found)} of {wanted} records of the topic")
        for record in consumer.consume(5_000, timeout=1):
            if record.error() is None and record.offset() < until[record.partition()]:
                headers = {name: value.decode() for name, value in record.headers()}
                found.append((
                    headers["sourceObjectUri"], int(headers["objectVersion"]),
                    int(headers["commitTime"]),
                ))  # fmt: skip
    consumer.close()
    return found
