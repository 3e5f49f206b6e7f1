"""A restore and a takeover lose nothing and deliver nothing twice without a cause; and how long each
takes.

`restore`: goldwire delivers many subjects, with its log in Kafka. Then it starts again and again: on the
same disk, where it reads the ends of the changelog only, and without its store, where it reads the
whole. `takeover`: two instances, of which one is killed by kill -9 while records come; the other one
delivers what was the killed one's. The broker dates each delivery. A session begins with the last
heartbeat, so that a takeover may come a little earlier than a session after the kill.

No speed is judged here: both print figures. What is measured is said by variables:

    GOLDWIRE_SUBJECTS=1000000   of `restore`: so many events, nearly each of a subject of its own
    GOLDWIRE_ROUNDS=3   GOLDWIRE_STORES=sled,fjall
    GOLDWIRE_TAKEOVERS=3        of `takeover`: so many kills under each protocol
    GOLDWIRE_RATE=500           records in a second
    GOLDWIRE_PROTOCOLS=classic,consumer   of both
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from dataclasses import dataclass
from typing import Any

import matching
import reached
from faults import KILL, SESSION, Fault
from generator import Load as Events
from generator import load
from goldwire import SOURCE, Goldwire, cluster_source
from lib import expect, wait_for
from matching import Doubts, Judge
from reached import Tail
from scenario_throughput import Load, loadtest, source, wait_done
from send import TopicSender
from servers import Servers
from told import Told
from usage import Usage
from watcher import Seen, Watched, Watcher

PARTITIONS = 4
TOPIC, SINK = "reltio.acme.restore", "golden"
SUBJECTS, ROUNDS = 1_000_000, 3
# So many more entities than events: few events are about one that another one is about too.
SPREAD = 16
# Of what was delivered so much comes once more at the end.
AGAIN = 20_000
PATIENCE = 900
RESTORE_AIM, TAKEOVER_AIM = 200_000, 2.0
TAKEOVERS, RATE, OF_EACH = 3, 500, 10
# What a killed one had sent is in the topic after that; no one else delivers so soon.
IN_FLIGHT = 1.0
# What has so few records is restored in much less than that, if no open transaction holds it up.
HELD_UP = 2.0
# One takeover and the return of the killed one take no longer.
LONGEST = 60
# Looks in a row, 0.2 s apart.
LOOKS = 10


def chosen(name: str, all_of_them: str) -> list[str]:
    """A variable that lists words."""
    return os.environ.get(name, all_of_them).split(",")


def log_of(servers: Servers, protocol: str, **more: object) -> dict[str, Any]:
    """The `log` of the configuration, on the one broker."""
    kafka = {"bootstrap_servers": servers.kafka.plain, "partitions": PARTITIONS, "replication": 1,
             "group_protocol": protocol, **more}  # fmt: skip
    return {"kafka": kafka}


@dataclass
class Restart:
    """A start with a changelog to read, until the last partition was brought up to it."""

    store: str
    protocol: str
    whole: bool
    # From the start of the process.
    seconds: float
    # From the first partition's begin to the last one's end.
    restoring: float
    # Of the process, since its start.
    cpu: float
    records: int
    # Subjects a second of each partition; nothing for one that knew them.
    rates: list[float]
    subjects: int

    def row(self) -> str:
        """Its row of the table."""
        each = f"{min(self.rates):,.0f} to {max(self.rates):,.0f}" if self.whole else ""
        total = f"{self.subjects / self.restoring:,.0f}" if self.whole else ""
        of = "no store" if self.whole else "same disk"
        return (f"| {self.store}, {self.protocol} | {of} | {self.records:,} | {self.restoring:.2f} | {each} | {total} "
                f"| {self.seconds:.2f} | {self.cpu:.2f} |")  # fmt: skip


RESTARTS = f"""| store, protocol | started with | changelog records read | s restoring | \
subjects/s, one of {PARTITIONS} partitions at once | subjects/s, all | s from start to the last partition | CPU s |
|---|---|---|---|---|---|---|---|"""


def restore(servers: Servers) -> str:
    """One instance that delivered many subjects starts again, with and without what it knew."""
    count = int(os.environ.get("GOLDWIRE_SUBJECTS", SUBJECTS))
    events = Load(count, SPREAD * count)
    events.fill(servers, TOPIC)
    program = restored(servers)
    program.start()
    wait_done(program, program.app)
    stop(program)
    of = subjects(servers, f"{program.app}.{SINK}.changelog")
    restarts: list[Restart] = []
    stores = chosen("GOLDWIRE_STORES", "sled,fjall")
    for _ in range(int(os.environ.get("GOLDWIRE_ROUNDS", ROUNDS))):
        for store in stores:
            for protocol in chosen("GOLDWIRE_PROTOCOLS", "classic,consumer"):
                restarts += restart_twice(program, store, protocol, of)
    said = account(servers, program, events)
    return "\n".join([
        f"{sum(of.values()):,} subjects in {PARTITIONS} partitions; {said}",
        *(f"    {store}: {medians(store, restarts)}" for store in stores),
        RESTARTS,
        *(one.row() for one in restarts),
    ])  # fmt: skip


def medians(store: str, restarts: list[Restart]) -> str:
    """What the restarts with one kind of store add up to."""
    these = [one for one in restarts if one.store == store]
    found = [one.subjects / one.restoring for one in these if one.whole]
    tails = [one.seconds for one in these if not one.whole]
    return (
        f"restored {statistics.median(found):,.0f} subjects/s in all, the median of {words(found, ',.0f')}; "
        f"the aim is {RESTORE_AIM:,}. On the same disk every partition was taken over "
        f"{statistics.median(tails):.2f} s after the start, the median of {words(tails, '.2f')}"
    )


def restored(servers: Servers) -> Goldwire:
    """The instance that is to be restored."""
    app = "restore"
    golden = f"{app}.newest"
    servers.kafka.create_topic(golden, PARTITIONS)
    sink = {SINK: {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": golden}}}
    more = {"store": "sled", "log": log_of(servers, "classic")}
    return Goldwire(servers.folder / app, app, source(servers, TOPIC, app), sink, more=more)


def stop(program: Goldwire) -> None:
    """Stops it in order."""
    code = program.stop()
    expect(code == 0, f"{program.name} stopped with exit code {code}")


def subjects(servers: Servers, changelog: str) -> dict[int, int]:
    """How many subjects each partition of a changelog knows."""
    known: dict[int, set[int]] = {of: set() for of in range(PARTITIONS)}
    tail = Tail(servers.kafka.plain, changelog)
    for record in tail.read():
        key = record.key() or b""
        if key.startswith(b"r/"):
            # Registers; the numbers take less memory than the keys.
            known[record.partition()].add(hash(key))
    tail.close()
    return {partition: len(of) for partition, of in known.items()}


def restart_twice(program: Goldwire, store: str, protocol: str, of: dict[int, int]) -> list[Restart]:
    """Starts it without its store, and on the same disk after that."""
    config = json.loads(program.config.read_text())
    config["store"], config["log"]["kafka"]["group_protocol"] = store, protocol
    program.config.write_text(json.dumps(config, indent=2))
    # Nothing else of the directory goes.
    shutil.rmtree(program.folder / "data" / "store")
    return [restart(program, (store, protocol), of, whole=whole) for whole in (True, False)]


def restart(program: Goldwire, by: tuple[str, str], of: dict[int, int], *, whole: bool) -> Restart:
    """Starts it, waits until everything is taken over and nothing is left, and stops it."""
    told, began = Told(program.log), time.time()
    program.start()
    complete = lambda: len(told.restored(SINK)) == PARTITIONS  # noqa: E731
    wait_for(f"{PARTITIONS} partitions to be restored", PATIENCE, complete, every=0.1)
    cpu = Usage.of(program.process).cpu
    wait_done(program, program.app)
    stop(program)
    all_of = told.restored(SINK)
    for partition, one in all_of.items():
        expect((one.first == 0) == whole, f"partition {partition} was restored from {one.first}")
        expect(not whole or one.records >= of[partition], f"partition {partition}: only {one.records} records")
    ended = max(one.at for one in all_of.values())
    restoring = ended - min(one.at - one.seconds for one in all_of.values())
    rates = [of[partition] / one.seconds for partition, one in all_of.items()]
    records = sum(one.records for one in all_of.values())
    run = Restart(*by, whole, ended - began, restoring, cpu, records, rates, sum(of.values()))
    print(f"  {run.row()}", flush=True)
    return run


def account(servers: Servers, program: Goldwire, events: Load) -> str:
    """Some events come once more, and the instance knows them: nothing is in the topic twice."""
    again = Load(min(AGAIN, events.events), events.entities)
    loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", TOPIC,
             "--partitions", str(PARTITIONS), *again.words())  # fmt: skip
    program.start()
    wait_done(program, program.app)
    letters = program.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    stop(program)
    counted = events.account("topic", "--bootstrap", servers.kafka.plain, "--topic", f"{program.app}.newest")
    twice = counted["repeated"] + counted["went_back"]
    expect(twice == 0, f"{twice} records are in the topic again: {counted}")
    return f"{again.events:,} events came twice, and nothing is delivered twice: {counted}"


def words(values: list[float], form: str) -> str:
    """All values, in a row."""
    return "; ".join(format(value, form) for value in values)


class Golden:
    """What came into the sink's topic, when, and which partition of the event log its subject is in."""

    def __init__(self, servers: Servers, topic: str, events: str) -> None:
        self.log = reached.event_log(servers.kafka.plain, events)
        self.tail = Tail(servers.kafka.plain, topic)
        self.places: dict[str, int] = {}
        self.seen: dict[int, int] = {}
        self.came: list[tuple[float, str]] = []

    def look(self) -> None:
        """Reads on. The topic first: what is there was in the event log before."""
        for record in self.tail.read():
            self.came.append((record.timestamp()[1] / 1000, record.key().decode()))
        self.log.look()
        for partition, records in self.log.records.items():
            for _, one in records[self.seen.get(partition, 0) :]:
                if one.change is not None:
                    self.places[one.change[0]] = partition
            self.seen[partition] = len(records)

    def first(self, after: float) -> dict[int, float]:
        """The first delivery of each partition that is later than a time."""
        self.look()
        found: dict[int, float] = {}
        for at, subject in reversed(self.came):
            if at <= after:
                break
            found[self.places[subject]] = at
        return found


@dataclass
class Takeover:
    """Seconds from a kill until the other instance had the killed one's partitions."""

    protocol: str
    # Of every partition that the killed one had, the first one first.
    assigned: list[float]
    restored: list[float]
    delivered: list[float]

    def without(self) -> list[float]:
        """The first deliveries, counted from the end of a session."""
        return [at - SESSION for at in self.delivered]

    def held_up(self) -> list[float]:
        """How long partitions were held up, those that were."""
        waits = [end - begin for begin, end in zip(self.assigned, self.restored, strict=True)]
        return [wait for wait in waits if wait > HELD_UP]

    def row(self) -> str:
        """Its row of the table."""
        columns = (self.assigned, self.restored, self.delivered, self.without())
        return f"| {self.protocol} | {' | '.join(words(of, '.2f') for of in columns)} |"


TAKEN_OVER = """| protocol | s from the kill to the assignment, each partition | to the end of its restore | \
to its first delivery | without the session |
|---|---|---|---|---|"""


class Pair:
    """Two instances that share the partitions, and what they read and write."""

    def __init__(self, servers: Servers, protocol: str, rate: int) -> None:
        self.servers, self.protocol, self.name, self.rate = servers, protocol, f"takeover-{protocol}", rate
        self.source, self.golden, self.group = f"reltio.acme.{self.name}", f"golden.{self.name}", f"{self.name}-ingest"
        servers.kafka.create_topic(self.source, PARTITIONS)
        # Its times are the broker's.
        servers.kafka.create_topic(self.golden, PARTITIONS, message_timestamp_type="LogAppendTime")
        self.both = [self._instance(f"{self.name}-{number}") for number in (1, 2)]
        self.sinks = f"{self.name}.{SINK}"
        of = {"bootstrap": servers.kafka.plain, "events": self.events, "source": SOURCE}
        self.asks = Watcher(Watched(servers.kafka.plain, self.sinks, self.events, PARTITIONS, "events", of))
        self.faults: list[Fault] = []
        self.committed: list[tuple[float, Seen]] = []

    @property
    def events(self) -> str:
        """The event log's topic."""
        return f"{self.name}.events"

    def _instance(self, name: str) -> Goldwire:
        sink = {"kafka": {"bootstrap_servers": self.servers.kafka.plain, "topic": self.golden,
                          "delivery_timeout": "10s"}}  # fmt: skip
        # By the client's id the broker says who has what.
        more: dict[str, Any] = {"instance": name, "properties": {"client.id": name}}
        if self.protocol == "classic":
            # Under KIP-848 the broker says so, see `kafka.COMMON`.
            more["session_timeout"] = f"{SESSION:.0f}s"
        return Goldwire(
            self.servers.folder / name, self.name,
            {SOURCE: cluster_source(self.servers.kafka, self.source, self.group, self.protocol)},
            {SINK: sink}, more={"log": log_of(self.servers, self.protocol, **more)},
        )  # fmt: skip

    def await_shared(self) -> dict[int, str]:
        """Waits until each has half of the partitions, and keeps up with what comes: who has which."""
        members: dict[int, str] = {}

        def shared() -> bool:
            nonlocal members
            members = self.servers.kafka.group_members(self.sinks)
            names = list(members.values())
            return all(names.count(one.name) == PARTITIONS // 2 for one in self.both)

        wait_for(lambda: f"each to have half of the partitions (last seen: {members})", LONGEST, shared)
        self.await_kept_up()
        return members

    def await_kept_up(self) -> None:
        """Waits until the sink has been behind by no more than what comes in a second, for some time."""
        looks: list[int] = []

        def keeps_up() -> bool:
            end = self.servers.kafka.end(self.events, PARTITIONS)
            looks.append(end - sum((self.asks.committed() or {}).values()))
            return len(looks) >= LOOKS and max(looks[-LOOKS:]) < self.rate

        wait_for(lambda: f"the sink to keep up (behind by {looks[-LOOKS:]})", LONGEST, keeps_up)

    def take_over(self, golden: Golden, number: int) -> Takeover:
        """Kills one, and waits until the other one delivers all that it had; then it comes back."""
        dying, heir = self.both[number], self.both[1 - number]
        members = self.await_shared()
        lost = {partition for partition, name in members.items() if name == dying.name}
        self.committed.append((time.time(), Seen(self.asks.committed() or {}, {})))
        told, killed = Told(heir.log), time.time()
        dying.kill()
        self.faults.append(Fault(KILL, (number,), killed))
        first: dict[int, float] = {}

        def delivered() -> bool:
            nonlocal first
            first = golden.first(killed + IN_FLIGHT)
            return lost <= first.keys()

        wait_for(lambda: f"partitions {lost} to be delivered (last seen: {sorted(first)})", LONGEST, delivered)
        self.faults[-1].ended = time.time()
        dying.start()
        assigned, restored = told.assigned(SINK), {of: one.at for of, one in told.restored(SINK).items()}
        expect(lost <= restored.keys(), f"{heir.name} restored {sorted(restored)} of {sorted(lost)}")
        since = lambda ats: sorted(ats[of] - killed for of in lost)  # noqa: E731
        return Takeover(self.protocol, since(assigned), since(restored), since(first))


def takeover(servers: Servers) -> str:
    """Takeovers under each of the protocols, one after the other."""
    rows: list[Takeover] = []
    said: list[str] = []
    for protocol in chosen("GOLDWIRE_PROTOCOLS", "classic,consumer"):
        taken, judged = take_over(servers, protocol)
        said.append(f"    {protocol}: {sentence(taken)} {judged}")
        rows += taken
    return "\n".join([f"{len(rows)} takeovers by kill -9", *said, TAKEN_OVER, *(one.row() for one in rows)])


def sentence(taken: list[Takeover]) -> str:
    """The medians, and what they are of."""
    first, last = [one.without()[0] for one in taken], [one.without()[-1] for one in taken]
    held_up = [wait for one in taken for wait in one.held_up()]
    return (
        f"the first delivery came {statistics.median(first):.2f} s after a session of {SESSION:.0f} s, the median of "
        f"{words(first, '.2f')}; the aim is {TAKEOVER_AIM:.0f} s. Every partition was delivered "
        f"{statistics.median(last):.2f} s after it, the median of {words(last, '.2f')}. "
        f"{len(held_up)} of {sum(len(one.delivered) for one in taken)} partitions were held up after their assignment, "
        f"as by a transaction that the killed one had open, s: {words(held_up, '.1f') or 'none'}."
    )


def take_over(servers: Servers, protocol: str) -> tuple[list[Takeover], str]:
    """Kills the instances of a pair by turns while records come; then the truth."""
    count, rate = int(os.environ.get("GOLDWIRE_TAKEOVERS", TAKEOVERS)), int(os.environ.get("GOLDWIRE_RATE", RATE))
    # Enough until the last one is over; the rest comes at once then.
    size = rate * LONGEST * (count + 1)
    events = load(37, size // OF_EACH, size, 0, 0)
    pair = Pair(servers, protocol, rate)
    for one in pair.both:
        one.start()
    sender = TopicSender(servers.kafka, pair.source, PARTITIONS, events.topic, rate)
    sender.start()
    golden = Golden(servers, pair.golden, pair.events)
    taken: list[Takeover] = []
    for number in range(count):
        taken.append(pair.take_over(golden, number % 2))
        print(f"  {taken[-1].row()}", flush=True)
    pair.await_shared()
    sender.release().join(300)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    return taken, judge(pair, events)


def judge(pair: Pair, events: Events) -> str:
    """Every subject ends right, no lag is left, and what is there twice was in doubt at a kill."""
    brokers = pair.servers.kafka
    for group in (pair.group, pair.sinks):
        is_idle = lambda group=group: not any(brokers.group_lag(group).values())  # noqa: E731
        wait_for(f"{group} to have no lag", 120, is_idle, every=1)
    for one in pair.both:
        one.wait_idle(pair.group, 60)
        letters = one.metric("goldwire_dead_letter_depth")
        expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
        stop(one)
    log = reached.event_log(brokers.plain, pair.events)
    log.look()
    found = Judge(Doubts(pair.faults, log.records, pair.committed)).read(Tail(brokers.plain, pair.golden))
    wrong = matching.differences(found, events.truth)
    expect(not wrong, f"{len(wrong)} subjects end wrong: {wrong[:3]}")
    matching.expect_matched(found)
    return f"Every subject ends right: {found}"
