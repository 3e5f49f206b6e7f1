"""What is measured of a program, and when its work was done."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition
from goldwire import Goldwire
from lib import Failed, Process, expect
from servers import Servers
from usage import Usage

# Without anything new for so long, a program has done all it will do.
QUIET = 8.0
# Nothing here takes longer.
PATIENCE = 1_500
MILLION = 1_000_000


@dataclass
class Pass:
    """One pass of a program over all the work."""

    seconds: float
    cpu: float
    peak_mib: float
    broker_cpu: float = 0.0
    more: dict[str, float] = field(default_factory=dict)


@dataclass
class Passes:
    """All passes of one program."""

    name: str
    work: int
    unit: str
    all: list[Pass] = field(default_factory=list)

    def cpu(self) -> float:
        """CPU seconds for a million, the median."""
        return statistics.median(of.cpu for of in self.all) / self.work * MILLION

    def rate(self) -> float:
        """Units a second, the median."""
        return statistics.median(self.rates())

    def rates(self) -> list[float]:
        """Units a second of each pass."""
        return [self.work / of.seconds for of in self.all]

    def peak(self) -> float:
        """The largest memory of all passes, MiB."""
        return max(of.peak_mib for of in self.all)

    def add(self, one: Pass) -> None:
        """Takes a pass, and prints a line, so that a long run shows where it is."""
        self.all.append(one)
        more = "".join(f", {key} {value:,.2f}" for key, value in one.more.items())
        print(f"  {self.name}: {self.work / one.seconds:,.0f} {self.unit}/s, {one.cpu:.1f} CPU s, "
              f"{one.peak_mib:.0f} MiB, broker {one.broker_cpu:.1f} CPU s{more}", flush=True)  # fmt: skip

    def row(self) -> str:
        """A row of a table: medians, and the range of what varies most."""
        rates = self.rates()
        broker = statistics.median(of.broker_cpu for of in self.all) / self.work * MILLION
        return (f"| {self.name} | {self.rate():,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | "
                f"{self.cpu():.1f} | {self.peak():.0f} | {broker:.1f} |")  # fmt: skip


def table(unit: str, passes: list[Passes]) -> str:
    """A table of programs."""
    head = f"| | {unit}/s | CPU s per million | peak MiB | broker's CPU s per million |\n|---|---|---|---|---|"
    return "\n".join([head, *(of.row() for of in passes)])


class Ends:
    """How many records some topics have got."""

    def __init__(self, bootstrap: str, topics: list[str], partitions: int) -> None:
        self.places = [TopicPartition(topic, of) for topic in topics for of in range(partitions)]
        self.asks = Consumer({"bootstrap.servers": bootstrap, "group.id": "peers-ends", "log_level": 0})

    def __call__(self) -> int:
        return sum(self.asks.get_watermark_offsets(at, timeout=30)[1] for at in self.places)

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_: object) -> None:
        self.asks.close()


def launch(program: Goldwire) -> Process:
    """Starts a goldwire, and does not wait: a pass counts from its first write."""
    words = [os.environ["GOLDWIRE_BIN"], "run", "--config", str(program.config)]
    program.process = Process(program.name, words, program.log)
    return program.process


def broker_of(servers: Servers) -> Process:
    """The broker's process."""
    process = servers.kafka.process
    if process is None:
        raise Failed("the broker does not run")
    return process


def cpu_of(process: Process) -> float:
    """CPU seconds that a process has taken so far."""
    return Usage.of(process).cpu


def watch(process: Process, broker: Process, count: Callable[[], int], every: float = 0.2) -> Pass:
    """Waits until `count` has grown and stands still: the time from its first growth to its last, and what
    the process had cost then."""
    began, before = time.monotonic(), Usage.of(broker).cpu
    start = last = count()
    first = changed = spent = None
    while True:
        time.sleep(every)
        now, counted = time.monotonic(), count()
        expect(process.is_alive(), f"{process.name} ended by itself: {process.tail()}")
        if counted != last:
            first = first or now
            changed, last = now, counted
            spent = (Usage.of(process), Usage.of(broker).cpu)
        if first and changed and spent and now - changed > QUIET:
            usage, broker_cpu = spent
            seconds = max(changed - first, every)
            return Pass(seconds, usage.cpu, Usage.of(process).peak_mib, broker_cpu - before)
        if now - began > PATIENCE:
            raise Failed(f"{process.name} is not done after {PATIENCE} s; {last - start} so far")


def settled(process: Process, count: Callable[[], int], every: float = 0.2) -> float:
    """Waits until `count` stands still: the CPU seconds that the process had taken when it last grew."""
    began = changed = time.monotonic()
    last, spent = count(), cpu_of(process)
    while time.monotonic() - changed < QUIET:
        time.sleep(every)
        counted = count()
        if counted != last:
            last, changed, spent = counted, time.monotonic(), cpu_of(process)
        if changed - began > PATIENCE:
            raise Failed(f"{process.name} is not done after {PATIENCE} s")
    return spent


def rounds() -> int:
    """How many rounds are asked for."""
    return int(os.environ.get("PEERS_ROUNDS", "3"))


def events(default: int) -> int:
    """How many events are asked for."""
    return int(os.environ.get("PEERS_EVENTS", default))
