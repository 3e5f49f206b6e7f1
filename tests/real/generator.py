"""Seeded events of a Reltio tenant, and the truth that they add up to.

Every event carries its whole object and both clocks, which grow strictly with every change of a
subject, more than a second apart: no API is needed to tell which of two is newer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

TENANT = "acme"
BEGIN = 1_767_225_600_000  # 2026-01-01T00:00:00Z in ms


@dataclass(frozen=True)
class Event:
    """One change of one subject, as Reltio streams it."""

    uri: str
    kind: str
    version: int
    commit_time: int
    body: bytes

    def headers(self) -> dict[str, str]:
        """The metadata that Reltio puts beside the body."""
        return {
            "tenantId": TENANT,
            "eventType": self.kind,
            "sourceObjectUri": self.uri,
            "objectVersion": str(self.version),
            "commitTime": str(self.commit_time),
        }


@dataclass
class Truth:
    """What every sink has to end at."""

    current: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    history: set[tuple[str, int, int]] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Takes an event into account, in any order."""
        self.history.add((event.uri, event.version, event.commit_time))
        state = "removed" if event.kind.endswith("_REMOVED") else "alive"
        known = self.current.get(event.uri)
        if known is None or known[1] < event.version:
            self.current[event.uri] = (state, event.version, event.commit_time)


def body(uri: str, kind: str, version: int, commit_time: int, rng: random.Random) -> bytes:
    """The JSON of an event; its attribute `Seq` names the version, so that content can be checked."""
    if kind.endswith("_REMOVED"):
        return json.dumps({"type": kind, "uri": uri}).encode()
    family = "relationTypes/Household" if uri.startswith("relations/") else "entityTypes/Individual"
    member: dict[str, object] = {
        "uri": uri,
        "type": f"configuration/{family}",
        "createdTime": BEGIN,
        "updatedTime": commit_time,
        "attributes": {
            "Seq": [{"type": f"configuration/{family}/attributes/Seq", "ov": True,
                     "value": f"{uri}@{version}", "uri": f"{uri}/attributes/Seq/1"}],
            "FirstName": [{"type": f"configuration/{family}/attributes/FirstName", "ov": True,
                           "value": rng.choice(NAMES), "uri": f"{uri}/attributes/FirstName/1"}],
        },
        "crosswalks": [{"uri": f"{uri}/crosswalks/1", "type": "configuration/sources/CRM",
                        "value": uri.split("/")[1]}],
    }  # fmt: skip
    if uri.startswith("relations/"):
        number = int(uri.rsplit("r", 1)[1])
        member["startObject"] = {"objectURI": f"entities/e{number}"}
        member["endObject"] = {"objectURI": f"entities/e{number + 1}"}
    else:
        member["label"] = f"{uri} v{version}"
    return json.dumps({"type": kind, "object": member}).encode()


NAMES = ["Ada", "Grace", "Edsger", "Barbara", "Tony", "Zoë", "José", "李", "O'Neil", 'Q"uote']


def histories(subjects: int, events: int, rng: random.Random) -> list[Event]:
    """`events` distinct changes of `subjects` subjects, each subject's in order."""
    made: list[Event] = []
    share = events // subjects
    for number in range(subjects):
        relation = number % 5 == 4
        uri = f"relations/r{number}" if relation else f"entities/e{number}"
        prefix = "RELATIONSHIP" if relation else "ENTITY"
        at = BEGIN + rng.randrange(86_400_000)
        version, alive = 0, False
        count = share + (1 if number < events % subjects else 0)
        for _ in range(count):
            at += 1_500 + rng.randrange(60_000)
            version += 1
            if not alive:
                kind, alive = f"{prefix}_CREATED", True
            elif rng.random() < 0.05:
                kind, alive = f"{prefix}_REMOVED", False
            else:
                kind = f"{prefix}_CHANGED"
            made.append(Event(uri, kind, version, at, body(uri, kind, version, at, rng)))
    return made


@dataclass
class Load:
    """What is sent by which way."""

    topic: list[Event]
    standard: list[Event]
    reltio: list[Event]
    truth: Truth


def load(seed: int, subjects: int, topic: int, standard: int, reltio: int) -> Load:
    """`topic` records for Kafka, of which one in twenty is a copy of another; webhooks, of which a
    fifth are copies of what the topic carries. Everything is out of order."""
    rng = random.Random(seed)
    copies = topic // 20
    hooks = standard + reltio
    hook_copies = hooks // 5
    distinct = histories(subjects, topic - copies + hooks - hook_copies, rng)
    truth = Truth()
    for event in distinct:
        truth.add(event)
    rng.shuffle(distinct)
    by_topic = distinct[: topic - copies]
    by_hook = distinct[topic - copies :] + rng.sample(by_topic, hook_copies)
    by_topic += rng.sample(by_topic, copies)
    rng.shuffle(by_hook)
    return Load(list(nearly_in_order(by_topic, rng)), by_hook[:standard], by_hook[standard:], truth)


def nearly_in_order(events: list[Event], rng: random.Random) -> Iterator[Event]:
    """By commit time with a jitter of hours, as if late parts of the stream caught up."""
    yield from sorted(events, key=lambda event: event.commit_time + rng.randrange(7_200_000))
