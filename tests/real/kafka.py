"""One Kafka broker (KRaft) with a plain listener for tools and SASL_SSL for goldwire; and what a
broker of one's own and a cluster of them have in common."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from certs import KEYSTORE_PASSWORD, Certificates
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AclBinding, AclBindingFilter, AdminClient
from lib import WORK, Failed, Process, command, expect, free_ports, is_open, wait_for

USER = "goldwire"
PASSWORD = "scram-password-of-a-test"
MECHANISM = "SCRAM-SHA-512"
CLASS_PATH = f"{WORK}/kafka/*"
MODULES = "org.apache.kafka.common.security"


def java(main: str, *arguments: str) -> str:
    """Runs one of Kafka's programs to its end, by its class."""
    return command("java", "-Xmx256m", "-cp", CLASS_PATH, main, *arguments)


class Broker:
    """One process of Kafka's: broker and controller in a folder of its own."""

    def __init__(self, name: str, folder: Path, properties: str, ports: list[int], heap: str) -> None:
        folder.mkdir(parents=True)
        self.name, self.folder, self.ports, self.heap = name, folder, ports, heap
        self.process: Process | None = None
        self.properties = folder / "server.properties"
        self.properties.write_text(f"{properties}\nlog.dirs={folder}/data\n{COMMON}")
        (folder / "log4j2.properties").write_text(LOG4J)

    def format(self, cluster: str, *how: str) -> None:
        """Makes its data directory."""
        java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.properties), *how)

    def launch(self) -> None:
        """Starts it, and does not wait."""
        log4j = f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"
        self.process = Process(
            self.name,
            ["java", f"-Xmx{self.heap}", log4j, "-cp", CLASS_PATH, "kafka.Kafka", str(self.properties)],
            self.folder / "broker.log",
        )

    def is_up(self) -> bool:
        """Whether its listeners are open; fails if the process has ended."""
        if self.process is None or not self.process.is_alive():
            tail = self.process.tail() if self.process else "it was not started"
            raise Failed(f"the Kafka broker {self.name} ended: {tail}")
        return all(is_open(port) for port in self.ports)

    def start(self) -> None:
        """Starts it and waits until its listeners are open."""
        self.launch()
        wait_for(f"the Kafka broker {self.name}", 90, self.is_up)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stops it by a signal to its id."""
        if self.process is not None:
            self.process.stop(how, 60)
            self.process = None


class Brokers:
    """What is asked of brokers, one or several, at their plain listener."""

    def __init__(self, plain: str) -> None:
        self.plain = plain

    def tool(self, name: str, *arguments: str) -> str:
        """Runs one of Kafka's own command line tools, by its class."""
        return java(f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.plain, *arguments)

    def client(self) -> dict[str, str]:
        """How the tests' own clients come in."""
        return {"bootstrap.servers": self.plain}

    def admin(self) -> AdminClient:
        """A client that manages topics and rights."""
        return AdminClient({"bootstrap.servers": self.plain, "log_level": 0})

    def create_topic(self, topic: str, partitions: int, **settings: str) -> None:
        """Makes a topic; `retention_ms="1"` sets `retention.ms`."""
        words = [f"--config={name.replace('_', '.')}={value}" for name, value in settings.items()]
        self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions), *words)

    def topics(self, beginning: str) -> list[str]:
        """Topics whose names begin so."""
        return sorted(topic for topic in self.admin().list_topics(timeout=30).topics if topic.startswith(beginning))

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic; its disk is given back a moment later."""
        admin = self.admin()
        for deleted in admin.delete_topics([topic]).values():
            deleted.result(timeout=60)

    def allow(self, *bindings: AclBinding) -> None:
        """Adds access control entries."""
        admin = self.admin()
        for made in admin.create_acls(list(bindings)).values():
            made.result(timeout=30)

    def disallow(self, binding: AclBinding) -> None:
        """Takes an access control entry away."""
        like = AclBindingFilter(
            binding.restype, binding.name, binding.resource_pattern_type, binding.principal, binding.host,
            binding.operation, binding.permission_type,
        )  # fmt: skip
        admin = self.admin()
        for done in admin.delete_acls([like]).values():
            expect(done.result(timeout=30), f"{binding} was not there")

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

    def members(self, group: str) -> str:
        """What `kafka-consumer-groups` says of a group: its state, its members and what each of them has."""
        asked = [("--state",), ("--members", "--verbose"), ("--offsets",)]
        return "\n".join(
            self.tool("consumer.group.ConsumerGroupCommand", "--describe", "--group", group, *words) for words in asked
        )

    def group_lag(self, group: str) -> dict[tuple[str, int], int]:
        """What `kafka-consumer-groups --describe` says: lag by topic and partition."""
        text = self.tool("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        rows = [line.split() for line in text.splitlines() if line.startswith(f"{group} ")]
        return {(row[1], int(row[2])): int(row[5]) for row in rows}

    def group_members(self, group: str) -> dict[int, str]:
        """What the same tool says of who reads each partition of a group with one topic: its `client.id`."""
        text = self.tool("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        rows = [line.split() for line in text.splitlines() if line.startswith(f"{group} ")]
        return {int(row[2]): row[8] for row in rows if len(row) > 8 and row[8] != "-"}

    def group_owners(self, group: str) -> Counter[str]:
        """How many partitions each `client.id` has."""
        return Counter(self.group_members(group).values())


class Kafka(Brokers):
    """A broker in a folder of its own, on loopback ports of its own."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.ca = certificates.ca
        plain, sasl, controller = free_ports(3)
        super().__init__(f"127.0.0.1:{plain}")
        self.sasl = f"127.0.0.1:{sasl}"
        properties = self._properties(controller, certificates.keystore)
        self.broker = Broker("kafka", folder, properties, [plain, sasl], "768m")
        self.broker.format(
            java("kafka.tools.StorageTool", "random-uuid").split()[-1],
            "--standalone", "--add-scram", f"{MECHANISM}=[name={USER},password={PASSWORD}]",
        )  # fmt: skip

    def _properties(self, controller: int, keystore: Path) -> str:
        listeners = f"PLAINTEXT://{self.plain},SASL_SSL://{self.sasl}"
        here = "listener.name.sasl_ssl"
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={KEYSTORE_PASSWORD}
ssl.key.password={KEYSTORE_PASSWORD}
sasl.enabled.mechanisms={MECHANISM},PLAIN,OAUTHBEARER
{here}.{MECHANISM.lower()}.sasl.jaas.config={MODULES}.scram.ScramLoginModule required;
{here}.plain.sasl.jaas.config={MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
{here}.oauthbearer.sasl.jaas.config={MODULES}.oauthbearer.OAuthBearerLoginModule required \\
  unsecuredLoginStringClaim_sub="{USER}";
"""

    def client(self) -> dict[str, str]:
        """As goldwire does."""
        return {
            "bootstrap.servers": self.sasl,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": USER,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.ca),
        }

    @property
    def process(self) -> Process | None:
        """The broker's process, while there is one."""
        return self.broker.process

    def start(self) -> None:
        """Starts the broker and waits until it answers."""
        self.broker.start()

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stops the broker by a signal to its id."""
        self.broker.stop(how)

    def set_password(self, password: str) -> None:
        """Changes the SCRAM user's password at the running broker."""
        change = f"{MECHANISM}=[password={password}]"
        java(
            "kafka.admin.ConfigCommand", "--bootstrap-server", self.plain, "--alter",
            "--add-config", change, "--entity-type", "users", "--entity-name", USER,
        )  # fmt: skip

    def reset_password(self) -> None:
        """Gives the SCRAM user the password back that everybody else uses."""
        self.set_password(PASSWORD)


# Members that are gone are found out after six seconds under both group protocols.
COMMON = """
num.partitions=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1500
auto.create.topics.enable=false
log.segment.delete.delay.ms=1000
"""

LOG4J = """
status = warn
appender.console.type = Console
appender.console.name = out
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
