"""What a sink without a guard has too often or out of order, and which fault each of it comes from.

A change is written again, or late, only if its write was in doubt when something was killed, frozen or
cut off: its record in the event log was not committed by the sink's group when the fault began. What is
asserted again is a later version of such a subject. Everything else has no excuse.
"""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Message

from faults import KILL, ROLL, Fault
from generator import Truth
from lib import expect
from reached import Change, Logged, Tail, version_of
from watcher import Seen

# What a fault cut off may come to light so much later: partitions move, transactions are given up.
AFTER = 10.0


class Doubts:
    """Which changes were in doubt at which fault."""

    def __init__(
        self,
        faults: list[Fault],
        log: dict[int, list[tuple[int, Logged]]],
        watched: list[tuple[float, Seen]],
    ) -> None:
        # A rolling restart leaves nothing in doubt, save where a stop was cut off.
        self.faults = sorted((fault for fault in faults if fault.kind != ROLL), key=lambda of: of.began)
        self.times = [at for at, _ in watched]
        self.seen = [seen for _, seen in watched]
        self.at: dict[Change, list[tuple[int, int, float]]] = {}
        self.of: dict[str, list[tuple[int, int, float]]] = {}
        for partition, records in log.items():
            for offset, record in records:
                if record.change is not None:
                    place = (partition, offset, record.time / 1000)
                    self.at.setdefault(record.change, []).append(place)
                    self.of.setdefault(record.change[0], []).append(place)

    def _committed(self, partition: int, when: float) -> int:
        """What was committed at a time at least."""
        before = bisect.bisect_right(self.times, when) - 1
        return self.seen[before].committed.get(partition, 0) if before >= 0 else 0

    def _open(self, places: list[tuple[int, int, float]], fault: Fault) -> bool:
        # What came later than a kill was not in its hands; a broker is away until it is back.
        until = fault.began + 1 if fault.kind == KILL else fault.ended + AFTER
        return any(
            offset >= self._committed(partition, fault.began) and logged <= until
            for partition, offset, logged in places
        )

    def explain(self, change: Change, when: float) -> str:
        """The kind of the newest fault that explains why a change is written at a time, again or late;
        nothing if none does."""
        before = [fault for fault in reversed(self.faults) if fault.began <= when]
        for fault in before:
            if self._open(self.at.get(change, []), fault):
                return fault.kind
        for fault in before:
            if self._open(self.of.get(change[0], []), fault):
                return f"{fault.kind}, asserted again"
        return ""


@dataclass
class Written:
    """What a topic of a `kafka` sink has."""

    records: int = 0
    repeated: Counter[str] = field(default_factory=Counter)
    went_back: Counter[str] = field(default_factory=Counter)
    unmatched: list[str] = field(default_factory=list)
    # Of each subject its last record: state, version and commit time, and the value.
    last: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    values: dict[str, bytes | None] = field(default_factory=dict)

    def __str__(self) -> str:
        said = [f"{self.records} records"]
        for name, counted in (("written again", self.repeated), ("out of order", self.went_back)):
            kinds = ", ".join(f"{count} by {kind}" for kind, count in counted.most_common())
            said.append(f"{counted.total()} {name}" + (f" ({kinds})" if kinds else ""))
        return ", ".join(said)


class Judge:
    """Reads a topic of a `kafka` sink in the order in which the brokers took it."""

    def __init__(self, doubts: Doubts | None) -> None:
        self.doubts = doubts
        self.written = Written()
        self.newest: dict[str, int] = {}
        self.had: set[Change] = set()

    def read(self, tail: Tail) -> Written:
        """Every record up to the end."""
        for record in tail.read():
            self._take(record)
        return self.written

    def _take(self, record: Message) -> None:
        headers = {name: value.decode() for name, value in record.headers()}
        subject, version = record.key().decode(), version_of(record)
        change = (subject, version, int(headers["goldwire.commit_time"]))
        written, newest = self.written, self.newest.get(subject, 0)
        written.records += 1
        if change in self.had or version < newest:
            why = "a fault" if self.doubts is None else self.doubts.explain(change, record.timestamp()[1] / 1000)
            of = written.repeated if change in self.had else written.went_back
            of[why or "nothing"] += 1
            if not why:
                written.unmatched.append(
                    f"partition {record.partition()} offset {record.offset()}: {subject} version {version} "
                    f"after version {newest} at {record.timestamp()[1] / 1000:.3f}"
                )
        self.had.add(change)
        self.newest[subject] = max(version, newest)
        written.last[subject] = (headers["goldwire.state"], version, change[2])
        written.values[subject] = record.value()


def differences(written: Written, truth: Truth) -> list[str]:
    """Where the last record of a subject is not the truth."""
    found = [f"{uri} is missing" for uri in truth.current.keys() - written.last.keys()]
    found += [f"{uri} was never sent" for uri in written.last.keys() - truth.current.keys()]
    for uri, should in truth.current.items():
        if uri not in written.last:
            continue
        value = written.values[uri]
        content = value is None if should[0] == "removed" else f"{uri}@{should[1]}".encode() in (value or b"")
        if written.last[uri] != should or not content:
            found.append(f"{uri} ends at {written.last[uri]}, should be {should}")
    return found


def expect_matched(written: Written) -> None:
    """Fails if something stands in the topic again or late for no reason."""
    expect(
        not written.unmatched,
        f"{len(written.unmatched)} records come from no fault: {'; '.join(written.unmatched[:3])}",
    )
