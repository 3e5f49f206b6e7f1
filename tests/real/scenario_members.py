"""Two goldwires in one consumer group, by each of its protocols: one is killed, one is stopped for longer
than its session and goes on. No event is lost, and whoever lost a partition commits nothing more."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

from generator import Load, load
from goldwire import SOURCE, Goldwire, kafka_source
from journal import Journal
from lib import expect, wait_for
from send import TopicSender
from servers import Servers
from watcher import Watched, Watcher

PARTITIONS, EVENTS, RATE = 6, 20_000, 400
# The broker's and the source's sessions end after 6 s without a heartbeat.
AWAY = 10.0


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    said = [one(servers, protocol, static) for protocol in ("classic", "consumer") for static in (False, True)]
    return "; ".join(said)


def one(servers: Servers, protocol: str, static: bool) -> str:
    """One protocol, with static members or without."""
    name = f"members-{protocol}-{'static' if static else 'dynamic'}"
    events = load(31, 1_000, EVENTS, 0, 0)
    servers.kafka.create_topic(name, PARTITIONS)
    both = [member(servers, name, number, protocol, static) for number in (0, 1)]
    watch = Watch(servers, name, both)
    sender = TopicSender(servers.kafka, name, PARTITIONS, events.topic, RATE)
    for goldwire in both:
        goldwire.start()
    sender.start()
    watch.start()
    await_owners(servers, name, both)
    killed, left = both
    killed.kill()
    await_owners(servers, name, [left])
    killed.start()
    await_owners(servers, name, both)
    freeze(left)
    await_owners(servers, name, [killed])
    thaw(left)
    await_owners(servers, name, both)
    sender.release().join(120)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    wait_for("the group to have no lag", 60, lambda: not any(servers.kafka.group_lag(name).values()), every=1)
    for goldwire in both:
        goldwire.wait_idle(name, 60)
        code = goldwire.stop()
        expect(code == 0, f"{goldwire.app} stopped with exit code {code}")
    looks = watch.end()
    return f"{name}: {compare(both, events)}, {looks} looks at what is committed"


def member(servers: Servers, name: str, number: int, protocol: str, static: bool) -> Goldwire:
    """A goldwire with a log and a sink of its own, and a source that both share."""
    folder = servers.folder / f"{name}-{number}"
    source: dict[str, Any] = kafka_source(servers.kafka, name, name)
    source["kafka"]["group_protocol"] = protocol
    source["kafka"]["properties"]["client.id"] = f"{name}-{number}"
    if static:
        source["kafka"]["instance"] = f"goldwire-{number}"
    if protocol == "consumer":
        # Said by the broker.
        for key in ("session.timeout.ms", "heartbeat.interval.ms"):
            del source["kafka"]["properties"][key]
    sink = {"lines": {"file": {"dir": str(folder / "out"), "keeps_erased_records": True}}}
    return Goldwire(folder, f"{name}-{number}", {SOURCE: source}, sink)


def await_owners(servers: Servers, name: str, owners: list[Goldwire]) -> None:
    """Waits until the broker says that these have all partitions among them, and each has some."""
    seen: dict[str, int] = {}

    def divided() -> bool:
        nonlocal seen
        seen = servers.kafka.group_owners(name)
        return set(seen) == {of.app for of in owners} and sum(seen.values()) == PARTITIONS

    wait_for(lambda: f"{[of.app for of in owners]} to have all partitions (last seen: {seen})", 60, divided)


def freeze(goldwire: Goldwire) -> None:
    """Stops the process where it stands, for longer than its session."""
    assert goldwire.process is not None
    goldwire.process.child.send_signal(signal.SIGSTOP)
    time.sleep(AWAY)


def thaw(goldwire: Goldwire) -> None:
    """Lets it go on, with whatever it was about to do."""
    assert goldwire.process is not None
    goldwire.process.child.send_signal(signal.SIGCONT)


def compare(both: list[Goldwire], events: Load) -> str:
    """Every change is at one sink at least."""
    lines: list[dict[str, Any]] = []
    for goldwire in both:
        for file in (goldwire.folder / "out").rglob("*.ndjson"):
            lines += map(json.loads, file.read_text().splitlines())
    found = {(line["subject"], line["version"], line["commit_time"]) for line in lines}
    lost = events.truth.history - found
    expect(not lost, f"{len(lost)} changes are lost, such as {sorted(lost)[:3]}")
    expect(found == events.truth.history, "a change was made up")
    return f"{len(found)} changes in {len(lines)} lines of two sinks"


class Watch(threading.Thread):
    """Looks at what is committed: it never goes back, and all below it is in one log or the other."""

    def __init__(self, servers: Servers, name: str, both: list[Goldwire]) -> None:
        super().__init__(daemon=True)
        logs = [goldwire.folder / "data" / "log" for goldwire in both]
        self.name_of_all = name
        self.asks = Watcher(
            Watched(servers.kafka.plain, name, name, PARTITIONS, "embedded", {"source": SOURCE, "log": str(logs[0])})
        )
        self.journals = [Journal(log) for log in logs]
        # What is in either log counts.
        self.journals[1].durable = self.journals[0].durable
        self.last: dict[int, int] = {}
        self.looks = 0
        self.wrong: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Looks until it is told to end, and once more."""
        while not self.ended.wait(0.2):
            self.look()
        self.look()

    def look(self) -> None:
        """One look: what is committed is asked before the logs are read."""
        committed = self.asks.committed()
        if committed is None:
            return
        for journal in self.journals:
            journal.look()
        for partition, offset in committed.items():
            durable = self.journals[0].durable_below(SOURCE, self.name_of_all, partition)
            if offset > durable:
                self.wrong.append(f"partition {partition}: committed {offset}, durable {durable}")
            if offset < self.last.get(partition, 0):
                self.wrong.append(f"partition {partition} went back to {offset}")
            self.last[partition] = offset
        self.looks += 1

    def end(self) -> int:
        """Fails if anything was wrong; how often it looked."""
        self.ended.set()
        self.join(60)
        expect(not self.wrong, "; ".join(self.wrong[:3]))
        expect(self.looks > 50, f"only {self.looks} looks")
        return self.looks
