"""SASL_SSL with PLAIN and with OAUTHBEARER (the other scenarios have SCRAM), and rights that are revoked
while goldwire runs, and given back.

Tokens are unsecured JSON web tokens (RFC 7515, appendix A.5), which Apache Kafka takes unless it is told
where an identity provider's keys are: whoever runs in production has one, and it is not what is tried
here. goldwire's librdkafka is built without curl, so that it makes such tokens itself and asks no
provider (`sasl.oauthbearer.method=oidc` wants curl).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import kafka
import matching
import reached
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from generator import Load, load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from send import TopicSender
from servers import Servers

EVENTS, SUBJECTS, PARTITIONS = 20_000, 1_000, 4
# So slow that records still come when the last right is taken away: no one misses a right that is not
# used.
RATE = 200
# The right is away for so long, and so many lines say enough of it.
REVOKED, MANY = 10.0, 15
MECHANISMS: dict[str, dict[str, str]] = {
    "PLAIN": {"sasl.mechanism": "PLAIN"},
    "OAUTHBEARER": {
        "sasl.mechanism": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": "true",
        "sasl.oauthbearer.config": f"principal={kafka.USER}",
    },
}


def properties(servers: Servers, mechanism: str) -> dict[str, str]:
    """What a client is given to come in by a mechanism."""
    mine = {key: value for key, value in servers.kafka.client().items() if key != "bootstrap.servers"}
    if mechanism == "OAUTHBEARER":
        del mine["sasl.username"], mine["sasl.password"]
    return mine | MECHANISMS[mechanism]


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    said = [one(servers, mechanism, number) for number, mechanism in enumerate(MECHANISMS)]
    return "; ".join(said)


def one(servers: Servers, mechanism: str, number: int) -> str:
    """goldwire reads and writes by one mechanism; its rights go and come."""
    app = f"security-{mechanism.lower()}"
    source, golden = f"reltio.acme.{app}", f"golden.{app}"
    for topic in (source, golden):
        servers.kafka.create_topic(topic, PARTITIONS)
    events = load(31 + number, SUBJECTS, EVENTS, 0, 0)
    ways = properties(servers, mechanism)
    config: dict[str, Any] = kafka_source(servers.kafka, source, app)
    config["kafka"]["properties"] = ways | {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"}
    folder = servers.folder / app
    goldwire = Goldwire(folder, app, {SOURCE: config}, {
        "golden": {"kafka": {"bootstrap_servers": servers.kafka.sasl, "topic": golden, "properties": ways}},
        "lines": {"file": {"dir": str(folder / "lines"), "keeps_erased_records": True}},
    })  # fmt: skip
    goldwire.start()
    sender = TopicSender(servers.kafka, source, PARTITIONS, events.topic, RATE)
    sender.start()
    rights = [(source, AclOperation.READ), (golden, AclOperation.WRITE)]
    # A sink that is halted tries again after a minute: once is enough.
    told = [revoked(servers, goldwire, *right, golden) for right in rights[: number + 1]]
    sender.release().join(300)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    goldwire.wait_idle(app, 300)
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters for a right that was away")
    expect(goldwire.starts == 1, "it was started again")
    text = goldwire.log.read_text()
    expect(kafka.PASSWORD not in text, "the password is in the log (G10)")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    return f"{mechanism}: {compare(servers, events, folder / 'lines', golden)}, {', '.join(told)}"


def revoked(servers: Servers, goldwire: Goldwire, topic: str, operation: AclOperation, golden: str) -> str:
    """Takes a right away while goldwire works, and gives it back; what goldwire says of it."""
    begun = servers.kafka.end(golden, PARTITIONS)
    wait_for("the sink to write on", 120, lambda: servers.kafka.end(golden, PARTITIONS) > begun + 500)
    deny = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{kafka.USER}", "*", operation,
        AclPermissionType.DENY,
    )  # fmt: skip
    allow = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{kafka.USER}", "*", AclOperation.ALL,
        AclPermissionType.ALLOW,
    )  # fmt: skip
    before = len(goldwire.log.read_text())
    servers.kafka.allow(allow, deny)
    said = lambda: goldwire.log.read_text()[before:]  # noqa: E731
    wait_for(f"the log to name `{topic}` and the right", 90, lambda: names(said(), topic))
    time.sleep(REVOKED)
    expect(goldwire.is_live(), "/livez is not 200 while a right is away")
    lines = len(said().splitlines())
    expect(lines <= MANY, f"{lines} lines were logged within {REVOKED:.0f} s for one right")
    servers.kafka.disallow(deny)
    stood = servers.kafka.end(golden, PARTITIONS)
    wait_for("goldwire to go on by itself", 120, lambda: servers.kafka.end(golden, PARTITIONS) > stood)
    return f"{operation.name} of {topic.split('.')[0]} revoked and given back"


def names(text: str, topic: str) -> bool:
    """Whether the log says that a right on the topic is missing."""
    return any(
        topic in line and any(word in line.lower() for word in ("permission", "authoriz", "not allowed"))
        for line in text.splitlines()
    )


def compare(servers: Servers, events: Load, lines: Path, golden: str) -> str:
    """Nothing is lost: every change is a line, every subject ends right in the topic."""
    written = matching.Judge(None).read(reached.Tail(servers.kafka.plain, golden))
    wrong = matching.differences(written, events.truth)
    expect(not wrong, f"{len(wrong)} subjects are wrong: {wrong[:3]}")
    found = {reached.change_of(line) for file in lines.glob("*.ndjson") for line in file.read_bytes().splitlines()}
    expect(found == events.truth.history, f"{len(events.truth.history - found)} changes are missing")
    return f"{len(found)} changes and {len(written.last)} subjects equal the truth"
