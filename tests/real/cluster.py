"""Three Kafka brokers (KRaft) on loopback that replicate each other, each of which may be stopped,
killed and started again by itself. What is acknowledged is on two of them at least."""

from __future__ import annotations

import base64
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from kafka import Broker, Brokers
from lib import Failed, free_ports, wait_for

SIZE = 3


def _uuid() -> str:
    """An id as Kafka writes them; none begins with `-`, which its tools take for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class Cluster(Brokers):
    """Brokers that are controllers too; replication 3, two in-sync replicas at least."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(2 * SIZE)
        self.ports, controllers = ports[:SIZE], ports[SIZE:]
        super().__init__(",".join(f"127.0.0.1:{port}" for port in self.ports))
        quorum = ",".join(f"127.0.0.1:{port}" for port in controllers)
        self.brokers: list[Broker] = []
        for number, (port, controller) in enumerate(zip(self.ports, controllers, strict=True), 1):
            text = _properties(number, port, controller, quorum)
            self.brokers.append(Broker(f"kafka-{number}", folder / f"kafka-{number}", text, [port], "512m"))
        voters = ",".join(f"{number}@127.0.0.1:{of}:{_uuid()}" for number, of in enumerate(controllers, 1))
        cluster = _uuid()
        with ThreadPoolExecutor(SIZE) as at_once:
            for made in [at_once.submit(of.format, cluster, "--initial-controllers", voters) for of in self.brokers]:
                made.result()

    def start(self) -> None:
        """Starts all brokers and waits until each has joined."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            wait_for(f"the Kafka broker {broker.name}", 120, broker.is_up)
        wait_for("three brokers in the metadata", 60, self._all_joined)

    def _all_joined(self) -> bool:
        try:
            return len(self.admin().list_topics(timeout=5).brokers) == SIZE
        except KafkaException:
            return False

    def stop(self) -> None:
        """Stops all brokers. Two that are gone are no quorum, so the last ones are killed."""
        for number, broker in enumerate(self.brokers):
            broker.stop(signal.SIGTERM if number == 0 else signal.SIGKILL)

    def is_whole(self) -> bool:
        """Whether every replica of every partition is in sync."""
        try:
            topics = self.admin().list_topics(timeout=5)
        except KafkaException:
            return False
        return len(topics.brokers) == SIZE and all(
            len(of.isrs) == len(of.replicas) for topic in topics.topics.values() for of in topic.partitions.values()
        )

    def wait_whole(self, seconds: float) -> float:
        """Waits until every replica is in sync; how long that took."""
        began = time.monotonic()
        wait_for("every replica to be in sync", seconds, self.is_whole, every=0.5)
        return time.monotonic() - began

    def create_topic(self, topic: str, partitions: int, **settings: str) -> None:
        """Makes a topic; each partition on every broker. Leaders are spread over them."""
        made = NewTopic(topic, partitions, SIZE, config={k.replace("_", "."): v for k, v in settings.items()})
        admin = self.admin()
        for done in admin.create_topics([made]).values():
            try:
                done.result(timeout=60)
            except KafkaException as why:
                raise Failed(f"topic {topic} cannot be made: {why}") from why


def _properties(number: int, port: int, controller: int, quorum: str) -> str:
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    return f"""
process.roles=broker,controller
node.id={number}
controller.quorum.bootstrap.servers={quorum}
controller.listener.names=CONTROLLER
listeners={listener},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listener},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
default.replication.factor={SIZE}
min.insync.replicas=2
offsets.topic.replication.factor={SIZE}
transaction.state.log.replication.factor={SIZE}
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={SIZE}
share.coordinator.state.topic.min.isr=2
num.network.threads=2
num.io.threads=4
broker.session.timeout.ms=6000
controlled.shutdown.enable=true
unclean.leader.election.enable=false
"""
