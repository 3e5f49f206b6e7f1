"""One Kafka broker (KRaft) with a plain listener for tools and SASL_SSL with SCRAM for goldwire."""

from __future__ import annotations

import signal
from pathlib import Path

from certs import KEYSTORE_PASSWORD, Certificates
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from lib import WORK, Failed, Process, command, free_ports, is_open, wait_for

USER = "goldwire"
PASSWORD = "scram-password-of-a-test"
MECHANISM = "SCRAM-SHA-512"
CLASS_PATH = f"{WORK}/kafka/*"


class Kafka:
    """A broker in a folder of its own, on loopback ports of its own."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        folder.mkdir(parents=True)
        self.folder, self.ca = folder, certificates.ca
        self.plain_port, self.sasl_port, controller = free_ports(3)
        self.plain = f"127.0.0.1:{self.plain_port}"
        self.sasl = f"127.0.0.1:{self.sasl_port}"
        self.process: Process | None = None
        self.properties = folder / "server.properties"
        self.properties.write_text(self._properties(controller, certificates.keystore))
        (folder / "log4j2.properties").write_text(LOG4J)
        uuid = self._java("kafka.tools.StorageTool", "random-uuid").split()[-1]
        self._java(
            "kafka.tools.StorageTool", "format", "--standalone", "-t", uuid,
            "-c", str(self.properties),
            "--add-scram", f"{MECHANISM}=[name={USER},password={PASSWORD}]",
        )  # fmt: skip

    def _properties(self, controller: int, keystore: Path) -> str:
        listeners = f"PLAINTEXT://{self.plain},SASL_SSL://{self.sasl}"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={self.folder}/data
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
log.segment.delete.delay.ms=1000
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={KEYSTORE_PASSWORD}
ssl.key.password={KEYSTORE_PASSWORD}
sasl.enabled.mechanisms={MECHANISM}
listener.name.sasl_ssl.{MECHANISM.lower()}.sasl.jaas.config={scram}
"""

    def _java(self, main: str, *arguments: str) -> str:
        return command("java", "-Xmx256m", "-cp", CLASS_PATH, main, *arguments)

    def tool(self, name: str, *arguments: str) -> str:
        """Runs one of Kafka's own command line tools, by its class."""
        return self._java(f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.plain, *arguments)

    def start(self) -> None:
        """Starts the broker and waits until it answers."""
        log4j = f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"
        self.process = Process(
            "kafka",
            ["java", "-Xmx768m", log4j, "-cp", CLASS_PATH, "kafka.Kafka", str(self.properties)],
            self.folder / "broker.log",
        )
        process = self.process

        def up() -> bool:
            if not process.is_alive():
                raise Failed(f"the Kafka broker ended: {process.tail()}")
            return is_open(self.plain_port) and is_open(self.sasl_port)

        wait_for("the Kafka broker", 90, up)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stops the broker by a signal to its id."""
        if self.process is not None:
            self.process.stop(how, 60)
            self.process = None

    def create_topic(self, topic: str, partitions: int) -> None:
        """Makes a topic."""
        self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions))

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic; its disk is given back a moment later."""
        admin = AdminClient({"bootstrap.servers": self.plain, "log_level": 0})
        for deleted in admin.delete_topics([topic]).values():
            deleted.result(timeout=60)

    def end(self, topic: str, partitions: int) -> int:
        """How many records the topic has got; 0 while the broker does not answer."""
        asked = Consumer({"bootstrap.servers": self.plain, "group.id": "goldwire-tests-ends", "log_level": 0})
        try:
            ends = [asked.get_watermark_offsets(TopicPartition(topic, of), timeout=5) for of in range(partitions)]
        except KafkaException:
            return 0
        finally:
            asked.close()
        return sum(high for _, high in ends)

    def set_password(self, password: str) -> None:
        """Changes the SCRAM user's password at the running broker."""
        change = f"{MECHANISM}=[password={password}]"
        self._java(
            "kafka.admin.ConfigCommand", "--bootstrap-server", self.plain, "--alter",
            "--add-config", change, "--entity-type", "users", "--entity-name", USER,
        )  # fmt: skip

    def reset_password(self) -> None:
        """Gives the SCRAM user the password back that everybody else uses."""
        self.set_password(PASSWORD)

    def group_lag(self, group: str) -> dict[tuple[str, int], int]:
        """What `kafka-consumer-groups --describe` says: lag by topic and partition."""
        text = self.tool("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        rows = [line.split() for line in text.splitlines() if line.startswith(f"{group} ")]
        return {(row[1], int(row[2])): int(row[5]) for row in rows}


LOG4J = """
status = warn
appender.console.type = Console
appender.console.name = out
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
