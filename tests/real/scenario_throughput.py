"""Throughput: one broker, events that look like Reltio's, and two ways to pass the newest of each
entity on: goldwire, which loses nothing, and bare programs with the same effect and no durability. One of
those passes events straight on, as goldwire with its embedded journal does; the other makes the hops
through Kafka that goldwire makes when its log is there.

The short form judges no speed: every event has to be accounted for. The long form
(`tests/real/run throughput`) alternates them for some rounds and prints medians. What it measures
is said by variables:

    GOLDWIRE_EVENTS=1000000   GOLDWIRE_ROUNDS=3   GOLDWIRE_STORES=sled,fjall
    GOLDWIRE_SINKS=kafka      or file, sqlite, postgres; two of the first two kinds, one of the others
    GOLDWIRE_LOGS=journal,kafka
    GOLDWIRE_PROTOCOL=classic or consumer, for the log in Kafka
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import exports
from goldwire import SOURCE, Goldwire
from lib import Process, command, expect, wait_for
from servers import Servers
from usage import Usage

SEED, ENTITIES, PARTITIONS = 9, 200_000, 4
SHORT, LONG, ROUNDS = 100_000, 1_000_000, 3
TOPIC = "reltio.acme.throughput"
# The bare program that a log is compared with.
BASES = {"journal": "bare", "kafka": "bare, same hops"}
# Nothing here takes longer.
PATIENCE = 1_500


@dataclass
class Load:
    """What is in the topic."""

    events: int
    entities: int

    def words(self) -> list[str]:
        """The load for the command line of `loadtest`."""
        return ["--seed", str(SEED), "--events", str(self.events), "--entities", str(self.entities)]

    def fill(self, servers: Servers, topic: str) -> None:
        """Makes and fills a topic."""
        servers.kafka.create_topic(topic, PARTITIONS)
        loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", topic,
                 "--partitions", str(PARTITIONS), *self.words())  # fmt: skip

    def account(self, *target: str) -> dict[str, int]:
        """What `loadtest account` counted; fails if an event is not accounted for."""
        return loadtest("account", *self.words(), *target)


@dataclass
class Run:
    """One pass over the whole topic."""

    seconds: float
    cpu: float
    peak_mib: float
    broker_cpu: float
    counted: list[dict[str, int]] = field(default_factory=list)
    more: dict[str, float] = field(default_factory=dict)


def loadtest(*words: str) -> dict[str, int]:
    """Runs `loadtest` to its end; what it printed."""
    return json.loads(command(os.environ["LOADTEST_BIN"], *words, seconds=PATIENCE))


def source(servers: Servers, topic: str, group: str) -> dict[str, object]:
    """The topic from its beginning, over a plain loopback listener as the bare program has it."""
    return {SOURCE: {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": topic,
                               "group": group, "start": "earliest"}}}  # fmt: skip


class Sinks:
    """Targets of one run, as goldwire's configuration names them, and how they are judged."""

    def __init__(self, servers: Servers, load: Load, kind: str, app: str, folder: Path) -> None:
        self.servers, self.load, self.kind, self.app, self.folder = servers, load, kind, app, folder
        self.names = ["a", "b"] if kind in ("kafka", "file") else ["a"]
        self.topics: list[str] = []

    def config(self) -> dict[str, object]:
        """The `sinks` of the configuration; makes what has to be there."""
        make: dict[str, Callable[[str], dict[str, object]]] = {
            "kafka": self._kafka, "file": self._file, "sqlite": self._sqlite, "postgres": self._postgres,
        }  # fmt: skip
        return {name: make[self.kind](name) for name in self.names}

    def _kafka(self, name: str) -> dict[str, object]:
        self.topics.append(f"{self.app}.{name}")
        self.servers.kafka.create_topic(self.topics[-1], PARTITIONS)
        return {"kafka": {"bootstrap_servers": self.servers.kafka.plain, "topic": self.topics[-1]}}

    def _file(self, name: str) -> dict[str, object]:
        return {"file": {"dir": str(self.folder / name), "keeps_erased_records": True}}

    def _sqlite(self, name: str) -> dict[str, object]:
        return {"warehouse": {"url": f"sqlite:{self.folder / name}.db"}}

    def _postgres(self, _: str) -> dict[str, object]:
        return {"warehouse": {"url": self.servers.postgres.create(self.app)}}

    def account(self) -> list[dict[str, int]]:
        """Whether every event is accounted for at every sink."""
        if self.kind == "kafka":
            plain = self.servers.kafka.plain
            of = [["topic", "--bootstrap", plain, "--topic", topic] for topic in self.topics]
        elif self.kind == "file":
            of = [["files", str(self.folder / name)] for name in self.names]
        else:
            export = exports.sqlite if self.kind == "sqlite" else exports.postgres
            place = self.folder / "a.db" if self.kind == "sqlite" else self.servers.postgres.connect(self.app)
            history, current = export(place, self.folder)
            of = [["rows", "--history", str(history), "--current", str(current)]]
        return [self.load.account(*words) for words in of]

    def bare_copy(self, run: Run) -> None:
        """What a bare COPY of the same rows takes, for PostgreSQL."""
        if self.kind == "postgres":
            rows, seconds = exports.bare_copy(self.servers.postgres.connect(self.app), self.folder)
            run.more |= {"rows/s": rows / run.seconds, "rows/s of COPY": rows / seconds,
                         "÷ COPY": seconds / run.seconds}  # fmt: skip

    def remove(self) -> None:
        """Gives the disk back: the sinks' topics, and goldwire's own, which begin with the app too."""
        for topic in self.servers.kafka.topics(f"{self.app}."):
            self.servers.kafka.delete_topic(topic)
        if self.kind == "postgres":
            self.servers.postgres.drop(self.app)
        shutil.rmtree(self.folder)


def log_of(servers: Servers, log: str) -> dict[str, object]:
    """The `log` of the configuration; as many partitions as the source has."""
    if log == "journal":
        return {}
    protocol = os.environ.get("GOLDWIRE_PROTOCOL", "classic")
    kafka = {"bootstrap_servers": servers.kafka.plain, "partitions": PARTITIONS, "replication": 1,
             "group_protocol": protocol}  # fmt: skip
    return {"log": {"kafka": kafka}}


def goldwire(servers: Servers, load: Load, kind: str, store: str, app: str, log: str = "journal") -> Run:
    """goldwire over the whole topic, into sinks of one kind."""
    folder = servers.folder / app
    sinks = Sinks(servers, load, kind, app, folder)
    more = {"store": store, **log_of(servers, log)}
    program = Goldwire(folder, app, source(servers, TOPIC, app), sinks.config(), more=more)
    broker = Usage.of(servers.kafka.process)
    began = time.monotonic()
    program.start()
    ended = wait_done(program, app)
    spent = Usage.of(program.process)
    broker_cpu = Usage.of(servers.kafka.process).cpu - broker.cpu
    letters = program.metric("goldwire_dead_letter_depth")
    code = program.stop()
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    expect(code == 0, f"goldwire stopped with exit code {code}")
    run = Run(ended - began, spent.cpu, spent.peak_mib, broker_cpu, sinks.account())
    sinks.bare_copy(run)
    sinks.remove()
    return run


def wait_done(program: Goldwire, app: str) -> float:
    """Waits until source and sinks have had nothing left for a while: when that began."""
    groups = [app, *(f"{app}.{sink}" for sink in program.sinks)]
    since: float | None = None
    lags: dict[str, float] = {}

    def done() -> bool:
        nonlocal since, lags
        expect(program.process is not None and program.process.is_alive(), "goldwire ended by itself")
        lags = program.lags()
        now = time.monotonic()
        if any(lags.get(name, 1) > 0 for name in groups):
            since = None
        elif since is None:
            since = now
        # The gauges are set once a second.
        return since is not None and now - since > 3

    wait_for(lambda: f"all lags to be 0 (last seen: {lags})", PATIENCE, done, every=0.5)
    return since or 0.0


def bare(servers: Servers, load: Load, app: str, *, hops: bool = False) -> Run:
    """The bare program over the whole topic, into two topics; by way of a third one with `hops`."""
    topics = [f"{app}.a", f"{app}.b"]
    through = [f"{app}.events"] if hops else []
    for topic in topics + through:
        servers.kafka.create_topic(topic, PARTITIONS)
    broker = Usage.of(servers.kafka.process)
    began = time.monotonic()
    told = loadtest("hops" if hops else "bare", "--bootstrap", servers.kafka.plain, "--from", TOPIC,
                    "--group", app, "--to", topics[0], "--to", topics[1], "--events", str(load.events),
                    *(f"--through={topic}" for topic in through))  # fmt: skip
    seconds = time.monotonic() - began
    broker_cpu = Usage.of(servers.kafka.process).cpu - broker.cpu
    run = Run(seconds, told["cpu_seconds"], told["peak_mib"], broker_cpu)
    for topic in topics:
        run.counted.append(load.account("topic", "--bootstrap", servers.kafka.plain, "--topic", topic))
    for topic in topics + through:
        servers.kafka.delete_topic(topic)
    return run


def short(servers: Servers) -> str:
    """100,000 events through the bare programs, and through goldwire into every kind of sink; with its
    log in Kafka into one."""
    load = Load(SHORT, ENTITIES // 10)
    load.fill(servers, TOPIC)
    said = [f"bare {bare(servers, load, 'bare').counted[0]}"]
    said.append(f"hops {bare(servers, load, 'hops', hops=True).counted[0]}")
    for kind in ("kafka", "file", "sqlite", "postgres"):
        run = goldwire(servers, load, kind, "fjall", f"short-{kind}")
        said.append(f"{kind} {run.counted[0]}")
    run = goldwire(servers, load, "kafka", "fjall", "short-by-kafka", "kafka")
    said.append(f"log in Kafka {run.counted[0]}")
    servers.kafka.delete_topic(TOPIC)
    return f"{load.events} events are accounted for: {'; '.join(said)}"


def long(servers: Servers) -> str:
    """The figures: rounds of the bare program and of goldwire with each store, alternating."""
    load = Load(int(os.environ.get("GOLDWIRE_EVENTS", LONG)), ENTITIES)
    rounds = int(os.environ.get("GOLDWIRE_ROUNDS", ROUNDS))
    kind = os.environ.get("GOLDWIRE_SINKS", "kafka")
    stores = os.environ.get("GOLDWIRE_STORES", "sled,fjall").split(",")
    logs = os.environ.get("GOLDWIRE_LOGS", "journal,kafka").split(",")
    load.fill(servers, TOPIC)
    runs: dict[str, list[Run]] = {}
    for number in range(rounds):
        for log in logs:
            base = BASES[log]
            runs.setdefault(base, []).append(bare(servers, load, f"bare-{log}-{number}", hops=log == "kafka"))
            tell(base, runs[base][-1], load)
            for store in stores:
                run = goldwire(servers, load, kind, store, f"{kind}-{store}-{log}-{number}", log)
                runs.setdefault(f"{log}, {store}", []).append(run)
                tell(f"{kind}, log {log}, {store}", run, load)
    servers.kafka.delete_topic(TOPIC)
    return f"medians of {rounds} rounds, {load.events} events, sinks {kind}\n{table(runs, load)}"


def tell(name: str, run: Run, load: Load) -> None:
    """One line for one run, so that a long measurement shows where it is."""
    rate = load.events / run.seconds
    print(f"  {name}: {run.cpu:.1f} CPU s, {rate:.0f} events/s, {run.peak_mib:.0f} MiB, "
          f"broker {run.broker_cpu:.1f} CPU s {run.more or ''}", flush=True)  # fmt: skip


def table(runs: dict[str, list[Run]], load: Load) -> str:
    """Medians, each program a row."""
    million = load.events / 1_000_000
    median = {
        name: [
            statistics.median(of.cpu / million for of in these),
            statistics.median(load.events / of.seconds for of in these),
            max(of.peak_mib for of in these),
            statistics.median(of.broker_cpu / million for of in these),
        ]
        for name, these in runs.items()
    }
    # Of a row named `log, store`, and of the bare programs themselves.
    base = {name: median[BASES.get(name.split(",")[0], name)][0] for name in median}
    lines = ["| | CPU s per million | ÷ bare | events/s | peak MiB | broker's CPU s per million | more |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, (cpu, rate, peak, broker) in median.items():
        keys = runs[name][0].more
        more = ", ".join(
            f"{key} {statistics.median(of.more[key] for of in runs[name]):.2f}" for key in keys
        )
        lines.append(f"| {name} | {cpu:.1f} | {cpu / base[name]:.1f} | {rate:,.0f} | {peak:.0f} | {broker:.1f} | {more} |")
    return "\n".join(lines)
