"""Chaos on three brokers: instances of goldwire are killed, frozen and restarted, brokers stopped and
killed one at a time, while events come over Kafka and webhooks; then the truth.

A seed makes events and faults, and is printed; what the machine makes of the same faults differs a
little from run to run.

    CHAOS_SEED=7        the seed; another one each time without it
    CHAOS_SECONDS=150   how long there are faults; events are sent for as long
    CHAOS_EVENTS=200000 how many, over Kafka and webhooks

`chaos` is the short form of both protocols, with seeds of its own.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import faults
import matching
import reached
import warehouse
import watcher
from cluster import SIZE, Cluster
from faults import Chaos
from generator import Load, load
from goldwire import SOURCE, Goldwire, cluster_source, webhooks
from lib import Failed, expect, wait_for
from matching import Doubts, Judge
from reached import Tail
from send import HookSender, TopicSender
from servers import Servers
from watcher import Watched

EVENTS, SECONDS, SHORT_S = 200_000, 150.0, 60.0
STANDARD, RELTIO, SUBJECTS = 3_000, 200, 20_000
PARTITIONS, INSTANCES = 6, 3
# Everything is at rest so long after the last fault, at the latest.
PATIENCE = 240.0


class World:
    """A cluster, instances of goldwire, and what watches them."""

    def __init__(self, servers: Servers, name: str, instances: int, protocol: str, *, embedded: bool) -> None:
        self.servers, self.name, self.protocol, self.embedded = servers, name, protocol, embedded
        self.folder = servers.folder / name
        self.source, self.golden, self.group = f"reltio.acme.{name}", f"golden.{name}", f"{name}-ingest"
        self.cluster = Cluster(self.folder)
        self.cluster.start()
        self.cluster.create_topic(self.source, PARTITIONS)
        # Its times are those of the broker that took a record.
        self.cluster.create_topic(self.golden, PARTITIONS, message_timestamp_type="LogAppendTime")
        servers.postgres.create(name)
        self.instances = [self._instance(number) for number in range(1, instances + 1)]

    def _instance(self, number: int) -> Goldwire:
        folder = self.folder / f"gw-{number}"
        sinks: dict[str, Any] = {
            "warehouse": {"warehouse": {"url": self.servers.postgres.url(self.name)}},
            "golden": {"kafka": {"bootstrap_servers": self.cluster.plain, "topic": self.golden,
                                 "delivery_timeout": "10s"}},
            "lines": {"file": {"dir": str(folder / "lines"), "keeps_erased_records": True}},
        }  # fmt: skip
        sources = {SOURCE: cluster_source(self.cluster, self.source, self.group, self.protocol), **webhooks()}
        log = {
            "bootstrap_servers": self.cluster.plain,
            "partitions": PARTITIONS,
            "replication": SIZE,
            "instance": folder.name,
            "group_protocol": self.protocol,
        }  # fmt: skip
        if self.protocol == "classic":
            # Under KIP-848 the brokers say so, see `kafka.COMMON`.
            log["session_timeout"] = f"{faults.SESSION:.0f}s"
        more = {} if self.embedded else {"log": {"kafka": log}}
        goldwire = Goldwire(folder, self.name, sources, sinks, self.servers.certificates, more)
        # A start waits for its brokers, and a partition may have no leader until one is back.
        goldwire.patience = 180
        return goldwire

    @property
    def events(self) -> str:
        """The event log's topic."""
        return f"{self.name}.events"

    @property
    def lines(self) -> list[str]:
        """Where the `file` sinks write."""
        return [str(one.folder / "lines") for one in self.instances]

    def watched(self) -> list[Watched]:
        """Every group, and where the records below its offsets have to be."""
        plain, events = self.cluster.plain, {"bootstrap": self.cluster.plain, "events": self.events}
        if self.embedded:
            log = {"source": SOURCE, "log": str(self.instances[0].folder / "data" / "log")}
            return [Watched(plain, self.group, self.source, PARTITIONS, "embedded", log)]
        sink = lambda name, kind, **of: Watched(  # noqa: E731
            plain, f"{self.name}.{name}", self.events, PARTITIONS, kind, events | of
        )
        connection = self.servers.postgres.url(self.name)
        return [
            Watched(plain, self.group, self.source, PARTITIONS, "events", {**events, "source": SOURCE}),
            sink("warehouse", "warehouse", url=connection),
            sink("golden", "topic", topic=self.golden, changelog=f"{self.name}.golden.changelog"),
            sink("lines", "files", folders=self.lines),
        ]

    def start(self) -> None:
        """Starts the instances, one after the other."""
        for instance in self.instances:
            instance.start()

    def stop(self) -> None:
        """Stops the instances, each in order."""
        for instance in self.instances:
            code = instance.stop()
            expect(code == 0, f"{instance.name} stopped with exit code {code}")

    def wait_settled(self, seconds: float) -> None:
        """Waits until every group is at the end of what it reads, and no inbox has anything left."""
        # Of these the brokers say it: of a partition that no one has, no instance tells a lag.
        groups = self.watched()
        if not self.embedded:
            inbox = f"{self.name}.inbox"
            groups.append(Watched(self.cluster.plain, inbox, inbox, PARTITIONS, "events"))
        asked = [(one, one.client()) for one in groups]
        known = {one.group for one in groups}
        lacking: dict[str, float] = {}

        def settled() -> bool:
            lacking.clear()
            for one, client in asked:
                end = self.cluster.end(one.topic, PARTITIONS)
                lag = end - sum((one.committed(client) or {}).values())
                if end == 0 or lag > 0:
                    lacking[one.group] = lag
            for instance in self.instances:
                expect(instance.process is not None and instance.process.is_alive(), f"{instance.name} ended by itself")
                for group, lag in instance.lags().items():
                    if lag > 0 and group not in known:
                        lacking[f"{instance.name} says {group}"] = lag
            return not lacking

        try:
            wait_for(lambda: f"every lag to be 0 (last seen: {lacking})", seconds, settled, every=1)
        except Failed:
            for group in known & lacking.keys():
                (self.folder / f"{group}.members.log").write_text(self.cluster.members(group))
            raise
        # The gauges are set once a second, and between two logs a record is in none.
        time.sleep(2)
        wait_for(lambda: f"every lag to stay 0 (last seen: {lacking})", 60, settled, every=1)


AUDIT = """
CREATE TABLE went_back (at timestamptz DEFAULT clock_timestamp(), subject text, before bigint, after bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO went_back (subject, before, after) VALUES (NEW.subject, OLD.version, NEW.version);
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON golden_records FOR EACH ROW WHEN (NEW.version < OLD.version)
  EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER UPDATE ON relations FOR EACH ROW WHEN (NEW.version < OLD.version)
  EXECUTE FUNCTION note();
"""


def audit(world: World) -> None:
    """Lets PostgreSQL itself note every row that goes back to an older version."""
    connection = world.servers.postgres.connect(world.name)
    connection.autocommit = True
    with connection.cursor() as cursor:
        exists = "SELECT to_regclass('golden_records') IS NOT NULL AND to_regclass('relations') IS NOT NULL"

        def made() -> bool:
            cursor.execute(exists)
            return bool(cursor.fetchone()[0])

        wait_for("goldwire to make its tables", 120, made)
        cursor.execute(AUDIT)
    connection.close()


def went_back(world: World) -> list[tuple[str, int, int]]:
    """What PostgreSQL noted."""
    with world.servers.postgres.connect(world.name) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT subject, before, after FROM went_back ORDER BY at")
        return cursor.fetchall()


def run(
    servers: Servers, name: str, instances: int, protocol: str, *, embedded: bool = False, seed: int | None = None
) -> str:
    """The scenario; its report. With a seed it is the short form."""
    short = embedded or seed is not None
    seed = int(os.environ.get("CHAOS_SEED", seed or random.SystemRandom().randrange(1, 1_000_000)))
    seconds = float(os.environ.get("CHAOS_SECONDS", SHORT_S if short else SECONDS))
    count = int(os.environ.get("CHAOS_EVENTS", EVENTS * seconds / SECONDS))
    print(f"  {name}: CHAOS_SEED={seed} CHAOS_SECONDS={seconds:.0f} CHAOS_EVENTS={count}", flush=True)
    hooks = (STANDARD * count // EVENTS, RELTIO * count // EVENTS)
    events = load(seed, max(SUBJECTS * count // EVENTS, 100), count - sum(hooks), *hooks)
    world = World(servers, name, instances, protocol, embedded=embedded)
    try:
        return torment(world, events, seed, seconds)
    finally:
        for instance in world.instances:
            instance.kill()
        world.cluster.stop()


def torment(world: World, events: Load, seed: int, seconds: float) -> str:
    """Sends the events while the plan of faults goes on, and judges."""
    world.start()
    seen = world.folder / "committed.jsonl"
    watch = watcher.start(world.watched(), seen)
    ports, ca = [one.webhook_port for one in world.instances], world.servers.certificates.ca
    topic = TopicSender(world.cluster, world.source, PARTITIONS, events.topic, int(len(events.topic) / seconds))
    hooks = [
        HookSender("standard", ports, ca, events.standard, len(events.standard) / seconds),
        HookSender("reltio", ports[::-1], ca, events.reltio, len(events.reltio) / seconds),
    ]
    chaos = Chaos(world.instances, world.cluster, seed, seconds)
    for sender in [topic, *hooks]:
        sender.start()
    # The tables are made with the first row.
    audit(world)
    chaos.start()
    try:
        chaos.join()
    finally:
        write_faults(world.folder / "faults.log", chaos)
    rest = time.monotonic()
    topic.release()
    for sender in [topic, *hooks]:
        sender.join(300)
        expect(not sender.is_alive(), f"{type(sender).__name__} did not come to its end")
        expect(not sender.errors, f"{type(sender).__name__}: {sender.errors[:2]}")
    world.wait_settled(PATIENCE)
    rest = time.monotonic() - rest
    words = ("the sink is halted", "the source is halted")
    halted = [one.name for one in world.instances if any(of in one.log.read_text() for of in words)]
    expect(not halted, f"something is halted in {halted}, and nothing was wrong with any")
    letters = sum(one.metric("goldwire_dead_letter_depth") for one in world.instances)
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    said = judge(world, events, chaos, watch, seen)
    accepted = sum(sender.accepted for sender in hooks)
    refused = sum(sender.refused for sender in hooks)
    return "\n".join([
        f"seed {seed}, {seconds:.0f} s of faults: {json.dumps(chaos.counted())}",
        f"    {len(events.topic)} records over Kafka, {accepted} webhooks ({refused} sent again), "
        f"at rest {rest:.0f} s after the last fault",
        *(f"    {line}" for line in said),
    ])  # fmt: skip


def write_faults(file: Path, chaos: Chaos) -> None:
    """Keeps what was done and when, for whoever reads the logs."""
    file.write_text("".join(f"{of.began:.3f} to {of.ended:.3f}: {of}\n" for of in chaos.faults))


def judge(world: World, events: Load, chaos: Chaos, watch: Any, seen: Path) -> list[str]:
    """Every sink equals the truth, and what is there too often comes from a fault."""
    log = None if world.embedded else reached.event_log(world.cluster.plain, world.events)
    if log is not None:
        log.look()
    doubts = None
    rows = watcher.observations(seen)
    if log is not None:
        doubts = Doubts(chaos.faults, log.records, rows.get(f"{world.name}.golden", []))
    golden = Judge(doubts)
    tail = Tail(world.cluster.plain, world.golden)

    def is_right() -> bool:
        return not matching.differences(golden.read(tail), events.truth)

    # Writes whose end no one knows are asserted once more a minute after `delivery_timeout`.
    wrong = lambda: matching.differences(golden.written, events.truth)  # noqa: E731
    try:
        wait_for(lambda: f"the topic to end right: {wrong()[:3]}", 120, is_right)
    except Failed:
        if log is not None:
            log.look()
            autopsy(world, {found.split()[0] for found in wrong()}, log)
        raise
    expect(watch.is_alive(), f"the watcher ended: {watch.tail()}")
    watch.stop()
    said = [f"topic, no guard: {golden.read(tail)}; every subject ends right"]
    rows = watcher.observations(seen)
    for of in world.watched():
        looks = rows.get(of.group, [])
        expect(len(looks) > 3, f"the watcher saw only {len(looks)} states of {of.group}")
        found = watcher.broken(looks)
        if found and log is not None:
            autopsy(world, {change[0] for _, seen in looks for change in seen.lacking.values() if change}, log)
        expect(not found, f"{of.group}: {'; '.join(found[:3])}")
    counts = ", ".join(f"{len(of)} looks at {group}" for group, of in rows.items())
    said.append(f"no committed offset passed what was there: {counts}")
    world.stop()
    matching.expect_matched(golden.read(tail))
    back = went_back(world)
    expect(not back, f"PostgreSQL, guard version: {len(back)} rows went back: {back[:3]}")
    tables = warehouse.postgres_rows(world.servers.postgres, world.name)
    said.append(f"PostgreSQL, guard version: none went back; {warehouse.compare('PostgreSQL', events.truth, *tables)}")
    said.append(judge_lines(world, events, doubts))
    return said


def autopsy(world: World, subjects: set[str], log: reached.EventLog) -> None:
    """What is known of subjects that a sink has wrongly: in event log, changelog and topic, with times."""
    lines = [f"event log {partition}/{offset} {of.time / 1000:.3f} {of.change}"
             for partition, records in log.records.items() for offset, of in records
             if of.change and of.change[0] in subjects]  # fmt: skip
    for record in Tail(world.cluster.plain, f"{world.name}.golden.changelog").read():
        key = record.key() or b""
        if any(key.endswith(subject.encode()) for subject in subjects) or key[:1] in (b"c", b"m"):
            value = reached.told(key, record.value())
            lines.append(f"changelog {record.partition()}/{record.offset()} {record.timestamp()[1] / 1000:.3f} {key!r}: {value}")
    for record in Tail(world.cluster.plain, world.golden).read():
        if record.key().decode() in subjects:
            lines.append(f"topic {record.partition()}/{record.offset()} {record.timestamp()[1] / 1000:.3f} "
                         f"{record.key().decode()} version {reached.version_of(record)}")  # fmt: skip
    (world.folder / "autopsy.log").write_text("\n".join(lines))


def judge_lines(world: World, events: Load, doubts: Doubts | None) -> str:
    """Every change is a line, and what is one twice was in doubt at a fault."""
    counted: dict[reached.Change, int] = {}
    for folder in world.lines:
        for file in Path(folder).glob("*.ndjson"):
            with file.open("rb") as lines:
                for line in lines:
                    change = reached.change_of(line)
                    counted[change] = counted.get(change, 0) + 1
    lost, invented = events.truth.history - counted.keys(), counted.keys() - events.truth.history
    expect(not lost, f"files: {len(lost)} changes are missing: {sorted(lost)[:3]}")
    expect(not invented, f"files: {len(invented)} changes were never sent: {sorted(invented)[:3]}")
    twice = [change for change, count in counted.items() if count > 1]
    unmatched = [of for of in twice if doubts is not None and not doubts.explain(of, time.time())]
    expect(not unmatched, f"files: {len(unmatched)} changes are there twice for no fault: {unmatched[:3]}")
    matched = "" if doubts is None else ", each in doubt at a fault"
    return f"files, append: {len(counted)} changes, {len(twice)} of them twice or more{matched}"


def classic(servers: Servers) -> str:
    """Three instances, the classic protocol with cooperative-sticky."""
    return run(servers, "chaos-classic", INSTANCES, "classic")


def consumer(servers: Servers) -> str:
    """Three instances, KIP-848."""
    return run(servers, "chaos-consumer", INSTANCES, "consumer")


def short(servers: Servers) -> str:
    """Both, for a minute each."""
    of_classic = run(servers, "chaos-classic", INSTANCES, "classic", seed=1)
    return f"{of_classic}\n{run(servers, 'chaos-consumer', INSTANCES, 'consumer', seed=2)}"


def embedded(servers: Servers) -> str:
    """One instance with its embedded journal, on the same cluster."""
    return run(servers, "cluster", 1, "classic", embedded=True)
