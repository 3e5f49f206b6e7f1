"""A topic whose values are Avro, Protobuf and JSON Schema, written by Confluent's own serializers and
a real registry, which is stopped in the middle."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import warehouse
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from generator import Event, Truth, histories
from goldwire import SOURCE, Goldwire, kafka_source
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from lib import expect, wait_for
from registry import Registry
from servers import Servers

TOPIC, PARTITIONS, GROUP = "reltio.acme.bridged", 2, "crm-sync-registry"
EVENTS = 3_000
# How long records of an unknown schema are seen to wait.
AWAY = 10.0

Write = Callable[[Event], tuple[bytes, bool]]


def members(event: Event) -> dict[str, Any]:
    """What a bridge makes of an event: a structure with the object as text."""
    of_event = json.loads(event.body).get("object")
    return {
        "eventType": event.kind,
        "sourceObjectUri": event.uri,
        "objectVersion": event.version,
        "commitTime": event.commit_time,
        "object": json.dumps(of_event) if of_event else None,
    }


def nullable(kind: object) -> list[object]:
    """An optional member, as Connect writes it."""
    return ["null", kind]


def avro_schema(name: str) -> str:
    """A structure as Connect registers it."""
    time_type = {
        "type": "long", "connect.version": 1, "logicalType": "timestamp-millis",
        "connect.name": "org.apache.kafka.connect.data.Timestamp",
    }  # fmt: skip
    fields = [
        {"name": "eventType", "type": "string"},
        {"name": "sourceObjectUri", "type": nullable("string"), "default": None},
        {"name": "objectVersion", "type": nullable("long"), "default": None},
        {"name": "commitTime", "type": nullable(time_type), "default": None},
        {"name": "object", "type": nullable("string"), "default": None},
    ]
    return json.dumps({"type": "record", "name": name, "namespace": "com.acme", "fields": fields})


def protobuf_class() -> Any:
    """A message that is not the first of its file, and imports one of Google's."""
    file = descriptor_pb2.FileDescriptorProto(name="change.proto", package="acme", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Unused")
    outer = file.message_type.add(name="Bridge")
    change = outer.nested_type.add(name="Change")
    of = {
        "event_type": Field.TYPE_STRING, "source_object_uri": Field.TYPE_STRING,
        "object_version": Field.TYPE_INT64, "commit_time": Field.TYPE_MESSAGE,
        "object": Field.TYPE_STRING,
    }  # fmt: skip
    for number, (name, kind) in enumerate(of.items(), 1):
        field = change.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
        if kind == Field.TYPE_MESSAGE:
            field.type_name = ".google.protobuf.Timestamp"
    pool = descriptor_pool.Default()
    # The pool has to know what is imported.
    pool.FindFileByName(timestamp_pb2.DESCRIPTOR.name)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("acme.Bridge.Change"))


class Writers:
    """Confluent's serializers, each with a schema of its own in the registry."""

    def __init__(self, registry: Registry) -> None:
        self.client = SchemaRegistryClient({"url": registry.url})
        self.change = protobuf_class()
        options = {"use.deprecated.format": False}
        self.of_protobuf = ProtobufSerializer(self.change, self.client, options)
        draft = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Event", "type": "object"}
        self.of_json = JSONSerializer(json.dumps(draft), self.client)
        self.of_avro = {
            name: AvroSerializer(self.client, avro_schema(name)) for name in ("Change", "LaterChange")
        }
        self.of_string = AvroSerializer(self.client, '"string"')

    def plain(self, event: Event) -> tuple[bytes, bool]:
        """As Reltio itself writes."""
        return event.body, True

    def avro(self, event: Event, name: str = "Change") -> tuple[bytes, bool]:
        """A structure."""
        return self.of_avro[name](members(event), self.at(f"avro-{name}")), False

    def later(self, event: Event) -> tuple[bytes, bool]:
        """The same by a schema that goldwire has not seen."""
        return self.avro(event, "LaterChange")

    def string(self, event: Event) -> tuple[bytes, bool]:
        """The event's JSON as Avro's string."""
        return self.of_string(event.body.decode(), self.at("string")), True

    def protobuf(self, event: Event) -> tuple[bytes, bool]:
        """A message."""
        of = members(event)
        message = self.change(
            event_type=of["eventType"], source_object_uri=of["sourceObjectUri"],
            object_version=of["objectVersion"], object=of["object"] or "",
        )  # fmt: skip
        message.commit_time.FromMilliseconds(of["commitTime"])
        if not of["object"]:
            message.ClearField("object")
        return self.of_protobuf(message, self.at("protobuf")), False

    def json(self, event: Event) -> tuple[bytes, bool]:
        """What JSON Schema describes."""
        return self.of_json(json.loads(event.body), self.at("json")), True

    @staticmethod
    def at(subject: str) -> SerializationContext:
        """Each serializer has a subject of its own."""
        return SerializationContext(subject, MessageField.VALUE)


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    registry = Registry(servers.folder / "registry").start()
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    writers = Writers(registry)
    events = histories(300, EVENTS, random.Random(17))
    events.sort(key=lambda event: event.commit_time)
    truth = Truth()
    for event in events:
        truth.add(event)
    first, away, unseen = events[:2000], events[2000:2500], events[2500:]
    seen: list[Write] = [writers.plain, writers.avro, writers.string, writers.protobuf, writers.json]
    producer = Producer({"bootstrap.servers": servers.kafka.plain, "enable.idempotence": True})
    database = servers.folder / "registry-app" / "warehouse.db"
    source = kafka_source(servers.kafka, TOPIC, GROUP)
    source["kafka"]["schema_registry"] = {"url": registry.url}
    sinks = {"warehouse": {"warehouse": {"url": f"sqlite:{database}"}}}
    goldwire = Goldwire(database.parent, "registry", {SOURCE: source}, sinks)
    expect("ok:" in check(goldwire), "check --connect finds something wrong with a good registry")

    # While the registry can be asked, the serializers ask it; and long before it is killed, since it
    # may forget what it was told just before.
    bytes_unseen = [(event, *writers.later(event)) for event in unseen]
    goldwire.start()
    send(producer, first, seen)
    goldwire.wait_idle(GROUP, 120)
    expect(no_letters(goldwire), "dead letters, and every record was good")

    registry.stop(signal.SIGKILL)
    said = check(goldwire, fails=True)
    expect("schema_registry: the registry does not answer" in said, f"check --connect says: {said}")
    send(producer, away, seen)
    goldwire.wait_idle(GROUP, 120)
    # Nor does a process that has it from the disk alone.
    goldwire.kill()
    goldwire.start()
    send(producer, away, seen)
    goldwire.wait_idle(GROUP, 120)
    reached = rows(database)

    for event, value, headed in bytes_unseen:
        put(producer, event, value, headed)
    bad = [b"\0\x00\x0f\x42\x3fsecret", writers.avro(events[0])[0][:-3]]
    producer.flush(30)
    away_told = "schema registry does not answer"
    wait_for("the records to wait", 60, lambda: away_told in goldwire.log.read_text())
    time.sleep(AWAY)
    expect(no_letters(goldwire), "an outage of the registry made dead letters")
    expect(goldwire.lags().get(GROUP, 0) > 0, "the position passed records that wait for a schema")
    expect(rows(database) == reached, "records of an unknown schema were delivered")
    expect(goldwire.is_live(), "/livez is not 200 while a registry is away")
    expect(goldwire.get("/readyz")[0] == 200, "/readyz is not 200 while a registry is away")
    told = goldwire.log.read_text().count(away_told)
    expect(told == 1, f"an outage was told {told} times")

    registry.start()
    for value in bad:
        producer.produce(TOPIC, value)
    producer.flush(30)
    goldwire.wait_idle(GROUP, 120)
    expect("schema registry answers again" in goldwire.log.read_text(), "the end was not told")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    compared = warehouse.compare("warehouse", truth, *warehouse.sqlite_rows(database))
    listed = dead_letters(goldwire)
    letters = len(json.loads(listed)["letters"])
    expect(letters == 2, f"{letters} dead letters, and two records were bad")
    unknown = "the registry has no schema 999999"
    for part in ("unknown_schema", unknown, "schema_mismatch", "field `object`"):
        expect(part in listed, f"dead letters do not say {part}: {listed}")
    expect("secret" not in listed, "a dead letter's reason holds a part of it")
    registry.stop()
    return (
        f"Apicurio, stopped and killed: {compared}; {len(away) * 2} records of known schemas went on, "
        f"{len(unseen)} of an unknown one waited {AWAY:.0f} s and more"
    )


def send(producer: Producer, events: list[Event], writers: list[Write]) -> None:
    """Each event by the next serializer."""
    for number, event in enumerate(events):
        value, headed = writers[number % len(writers)](event)
        put(producer, event, value, headed)
    producer.flush(60)


def put(producer: Producer, event: Event, value: bytes, headed: bool) -> None:
    """One record; where the value does not hold the metadata, its headers do."""
    producer.produce(TOPIC, value, headers=event.headers() if headed else None)
    producer.poll(0)


def rows(database: Any) -> int:
    """Rows of the history."""
    return len(warehouse.sqlite_rows(database)[1])


def no_letters(goldwire: Goldwire) -> bool:
    """Whether there is no dead letter."""
    return goldwire.metric("goldwire_dead_letter_depth") == 0


def check(goldwire: Goldwire, fails: bool = False) -> str:
    """What `goldwire check --connect` prints."""
    words = [os.environ["GOLDWIRE_BIN"], "check", "--connect", "--config", str(goldwire.config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    expect(done.returncode == int(fails), f"check ended with {done.returncode}: {said[-500:]}")
    return said


def dead_letters(goldwire: Goldwire) -> str:
    """What `goldwire dlq` says of each."""
    words = [os.environ["GOLDWIRE_BIN"], "dlq", "list", "--json", "--config", str(goldwire.config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0, f"dlq list ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
