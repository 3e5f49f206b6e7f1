"""W1: Kafka, old versions dropped, two topics.

Reltio's records have no keys, so that versions of one entity lie in any partition. Every program has to
end with the newest version of each entity in both topics, which is judged after each pass.
"""

from __future__ import annotations

import shutil

from aims import Aims
from goldwire import Goldwire
from lib import ROOT, Process, expect
from measure import Ends, Pass, Passes, broker_of, cpu_of, events, launch, rounds, table, watch
from scenario_throughput import ENTITIES, PARTITIONS, Load, Sinks, loadtest, log_of, source
from servers import Servers

TOPIC = "reltio.acme.w1"
WARM_UP = 500_000
STREAMS = ROOT / "target" / "peers" / "streams"
GUARANTEES = ("at_least_once", "exactly_once_v2")
# What Main.java says of the Java machine.
JAVA = ["java", "-Xmx512m", "-XX:+UseParallelGC"]


def run(servers: Servers, aims: Aims) -> None:
    """Rounds of all programs by turns."""
    load = Load(events(1_000_000), ENTITIES)
    load.fill(servers, TOPIC)
    names = ["bare, parses", "bare, drops and produces", "goldwire, sled", "goldwire, fjall",
             "goldwire, fjall, log in Kafka", *(f"Kafka Streams, {of}" for of in GUARANTEES)]  # fmt: skip
    passes = {name: Passes(name, load.events, "events") for name in names}
    for number in range(rounds()):
        parses, produces, sled, fjall, kafka, *streams = (passes[name] for name in names)
        parses.add(bare(servers, load, f"w1-parses-{number}", sinks=0))
        produces.add(bare(servers, load, f"w1-bare-{number}", sinks=2))
        sled.add(goldwire(servers, load, f"w1-sled-{number}", "sled", "journal"))
        fjall.add(goldwire(servers, load, f"w1-fjall-{number}", "fjall", "journal"))
        kafka.add(goldwire(servers, load, f"w1-kafka-{number}", "fjall", "kafka"))
        for of, guarantee in zip(streams, GUARANTEES, strict=True):
            of.add(kafka_streams(servers, load, f"w1-streams-{guarantee}-{number}", guarantee))
    servers.kafka.delete_topic(TOPIC)
    print(table("events", list(passes.values())))
    # The store that docs/performance.md advises for speed; Kafka Streams is set as its documents advise too.
    ours, peers = passes["goldwire, fjall"], [passes[name] for name in names[5:]]
    aims.tell("w1_cpu_streams", ours.cpu() / min(of.cpu() for of in peers))
    aims.tell("w1_cpu_floor", ours.cpu() / passes["bare, drops and produces"].cpu())
    aims.tell("w1_memory", ours.peak() / min(of.peak() for of in peers))
    aims.tell("w1_rate", ours.rate() / max(of.rate() for of in peers))


def bare(servers: Servers, load: Load, app: str, sinks: int) -> Pass:
    """The floor: a loop with librdkafka that remembers nothing."""
    topics = make_topics(servers, app, sinks)
    before = cpu_of(broker_of(servers))
    told = loadtest("bare", "--bootstrap", servers.kafka.plain, "--from", TOPIC, "--group", app,
                    "--events", str(load.events), *(f"--to={topic}" for topic in topics))  # fmt: skip
    one = Pass(told["seconds"], told["cpu_seconds"], told["peak_mib"], cpu_of(broker_of(servers)) - before)
    judge(servers, load, topics)
    return one


def warm_up(servers: Servers) -> None:
    """Warms the broker up: one that was just started is slow until its Java code is compiled."""
    load = Load(WARM_UP, ENTITIES)
    load.fill(servers, TOPIC)
    bare(servers, load, "warm-up", sinks=2)
    servers.kafka.delete_topic(TOPIC)


def goldwire(servers: Servers, load: Load, app: str, store: str, log: str) -> Pass:
    """goldwire with one of its stores, its log in a journal or in Kafka."""
    folder = servers.folder / app
    sinks = Sinks(servers, load, "kafka", app, folder)
    config = sinks.config()
    program = Goldwire(folder, app, source(servers, TOPIC, app), config,
                       more={"store": store, **log_of(servers, log)})  # fmt: skip
    with Ends(servers.kafka.plain, sinks.topics, PARTITIONS) as ends:
        one = watch(launch(program), broker_of(servers), ends)
    code = program.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    sinks.account()
    sinks.remove()
    return one


def kafka_streams(servers: Servers, load: Load, app: str, guarantee: str) -> Pass:
    """The same work by Kafka Streams."""
    folder = servers.folder / app
    folder.mkdir()
    topics = make_topics(servers, app, 2)
    letters = f"{app}.letters"
    servers.kafka.create_topic(letters, 1)
    words = [*JAVA, "-cp", f"{STREAMS}/classes:{STREAMS}/libs/*", "goldwire.peers.Main",
             "--bootstrap", servers.kafka.plain, "--application", app, "--from", TOPIC,
             *(word for topic in topics for word in ("--to", topic)), "--dead-letters", letters,
             "--partitions", str(PARTITIONS), "--guarantee", guarantee,
             "--state", str(folder / "state")]  # fmt: skip
    with Ends(servers.kafka.plain, topics, PARTITIONS) as ends:
        process = Process(app, words, folder / "streams.log")
        one = watch(process, broker_of(servers), ends)
    code = process.stop()
    expect(code in (0, 143), f"Kafka Streams stopped with exit code {code}: {process.tail()}")
    expect(servers.kafka.end(letters, 1) == 0, "there are dead letters, and no event was bad")
    judge(servers, load, topics)
    for topic in servers.kafka.topics(app):
        servers.kafka.delete_topic(topic)
    shutil.rmtree(folder)
    return one


def make_topics(servers: Servers, app: str, count: int) -> list[str]:
    """Makes a pass's targets."""
    topics = [f"{app}.{number}" for number in range(count)]
    for topic in topics:
        servers.kafka.create_topic(topic, PARTITIONS)
    return topics


def judge(servers: Servers, load: Load, topics: list[str]) -> None:
    """Fails if a target does not hold the newest version of each entity; deletes the targets."""
    for topic in topics:
        load.account("topic", "--bootstrap", servers.kafka.plain, "--topic", topic)
        servers.kafka.delete_topic(topic)
