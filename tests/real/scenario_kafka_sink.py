"""Kafka topics as sinks while the broker restarts and goldwire is killed; and what `check --connect`
says of topics that are not there or may not be written to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import kafka
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from scenario_throughput import Load
from servers import Servers

TOPIC, PARTITIONS = "reltio.acme.republished", 4
LOAD = Load(100_000, 10_000)
# Brokers are away for so long.
AWAY = 3.0


def sink(servers: Servers, topic: str, user: str = kafka.USER) -> dict[str, Any]:
    """A sink over SASL_SSL with SCRAM."""
    properties = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": kafka.MECHANISM,
        "sasl.username": user,
        "sasl.password": kafka.PASSWORD,
        "ssl.ca.location": str(servers.kafka.ca),
    }
    return {"kafka": {"bootstrap_servers": servers.kafka.sasl, "topic": topic, "properties": properties}}


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    LOAD.fill(servers, TOPIC)
    topics = ["golden.encrypted", "golden.plain"]
    for topic in topics:
        servers.kafka.create_topic(topic, PARTITIONS)
    plain = {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": topics[1]}}
    app = "republish"
    goldwire = Goldwire(
        servers.folder / app, app, {SOURCE: kafka_source(servers.kafka, TOPIC, app)},
        {"encrypted": sink(servers, topics[0]), "plain": plain},
    )  # fmt: skip
    goldwire.start()
    for fault in (kill_broker, goldwire_killed, stop_broker):
        begun = written(servers, topics)
        wait_for("the sinks to write on", 120, lambda: written(servers, topics) > begun + 5_000, every=0.1)
        fault(servers, goldwire)
    goldwire.wait_idle(app, 300)
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    counted = [
        LOAD.account("topic", "--bootstrap", servers.kafka.plain, "--topic", topic) for topic in topics
    ]
    said = check_connect(servers)
    return f"two broker restarts and a kill: every event is accounted for: {counted}; {said}"


def written(servers: Servers, topics: list[str]) -> int:
    """Records in the topics."""
    return sum(servers.kafka.end(topic, PARTITIONS) for topic in topics)


def kill_broker(servers: Servers, goldwire: Goldwire) -> None:
    """The broker is killed while goldwire writes to it, and comes back."""
    servers.kafka.stop(signal.SIGKILL)
    time.sleep(AWAY)
    expect(goldwire.is_live(), "goldwire is not live while the broker is away")
    servers.kafka.start()


def stop_broker(servers: Servers, goldwire: Goldwire) -> None:
    """The broker is stopped in order, and comes back."""
    servers.kafka.stop()
    time.sleep(AWAY)
    expect(goldwire.is_live(), "goldwire is not live while the broker is away")
    servers.kafka.start()


def goldwire_killed(_: Servers, goldwire: Goldwire) -> None:
    """goldwire is killed while it writes."""
    goldwire.kill()
    goldwire.start()


def check_connect(servers: Servers) -> str:
    """`goldwire check --connect` says which topic is not there, and which may not be written to."""
    servers.kafka.create_topic("golden.foreign", 1)
    rights = {kafka.USER: ["DESCRIBE", "DESCRIBE_CONFIGS", "READ"], "other": ["WRITE"]}
    bindings = [
        AclBinding(ResourceType.TOPIC, "golden.foreign", ResourcePatternType.LITERAL, f"User:{user}", "*",
                   AclOperation[operation], AclPermissionType.ALLOW)
        for user, operations in rights.items()
        for operation in operations
    ]  # fmt: skip
    servers.kafka.allow(*bindings)
    before = servers.kafka.end("golden.encrypted", PARTITIONS)
    sinks = {
        "good": sink(servers, "golden.encrypted"),
        "missing": sink(servers, "golden.nowhere"),
        "foreign": sink(servers, "golden.foreign"),
    }
    source = {SOURCE: kafka_source(servers.kafka, TOPIC, "connect")}
    goldwire = Goldwire(servers.folder / "connect", "connect", source, sinks)
    said = check(goldwire.config)
    expect("sinks.missing" in said and "`golden.nowhere` does not exist" in said, said)
    expect("sinks.foreign" in said and "no permission to write to topic `golden.foreign`" in said, said)
    expect("sinks.good" not in said, said)
    after = servers.kafka.end("golden.encrypted", PARTITIONS)
    expect(before == after, "the question for the right to write left a record")
    return "check --connect names the missing topic and the missing right, and leaves nothing"


def check(config: Path) -> str:
    """What `goldwire check --connect` prints; it has to find something."""
    words = [os.environ["GOLDWIRE_BIN"], "check", "--connect", "--config", str(config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    expect(done.returncode == 1, f"check ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stderr
