"""What an event costs as the work grows: more entities in the ledger, more partitions."""

from __future__ import annotations

import os

from aims import Aims
from goldwire import Goldwire
from lib import expect
from measure import MILLION, Ends, broker_of, cpu_of, launch, settled, watch
from scenario_throughput import SEED, loadtest, source
from servers import Servers
from usage import Usage

FEW = 100_000
MANY = int(os.environ.get("PEERS_ENTITIES", 10 * MILLION))
EVENTS = 300_000
PARTITIONS = 4


def run(servers: Servers, aims: Aims) -> None:
    """Both ratios. The store is fjall, which docs/files.md advises from a million entities on."""
    few, many = (subjects(servers, entities) for entities in (FEW, MANY))
    print(f"  {MANY:,} entities ÷ {FEW:,}: {many / few:.2f}", flush=True)
    if MANY == 10 * MILLION:
        aims.tell("growth_subjects", many / few)
    one, sixteen = (partitions(servers, count) for count in (1, 16))
    aims.tell("growth_partitions", sixteen / one)


def subjects(servers: Servers, entities: int) -> float:
    """CPU seconds for a million events, once so many entities are known."""
    app = f"growth-{entities}"
    topics = [f"{app}.{name}" for name in ("events", "golden")]
    for topic in topics:
        servers.kafka.create_topic(topic, PARTITIONS)
    load = ["--bootstrap", servers.kafka.plain, "--topic", topics[0], "--seed", str(SEED),
            "--entities", str(entities), "--each-once"]  # fmt: skip
    loadtest("fill", *load, "--events", str(entities), "--small")
    program = made(servers, app, *topics)
    process = launch(program)
    with Ends(servers.kafka.plain, topics[1:], PARTITIONS) as ends:
        first = watch(process, broker_of(servers), ends)
        known = ends()
        expect(known == entities, f"{known} of {entities} entities came")
        before = cpu_of(process)
        loadtest("fill", *load, "--events", str(entities + EVENTS), "--skip", str(entities))
        cost = (settled(process, ends) - before) / EVENTS * MILLION
    print(f"  {entities:,} entities came at {entities / first.seconds:,.0f}/s; then {cost:.1f} CPU s per "
          f"million events, {Usage.of(process).peak_mib:.0f} MiB", flush=True)  # fmt: skip
    expect(program.metric("goldwire_dead_letter_depth") == 0, "there are dead letters")
    expect(program.stop() == 0, "goldwire did not stop well")
    for topic in topics:
        servers.kafka.delete_topic(topic)
    return cost


def partitions(servers: Servers, count: int) -> float:
    """CPU seconds for a million events, where the source, the log and the target have so many partitions."""
    app = f"growth-{count}-partitions"
    topics = [f"{app}.{name}" for name in ("events", "golden")]
    for topic in topics:
        servers.kafka.create_topic(topic, count)
    loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", topics[0], "--partitions", str(count),
             "--seed", str(SEED), "--entities", str(FEW), "--events", str(EVENTS))  # fmt: skip
    program = made(servers, app, *topics, log={"partitions": count})
    with Ends(servers.kafka.plain, topics[1:], count) as ends:
        one = watch(launch(program), broker_of(servers), ends)
    cost = one.cpu / EVENTS * MILLION
    print(f"  {count} partitions: {cost:.1f} CPU s per million events, {EVENTS / one.seconds:,.0f} events/s", flush=True)
    expect(program.metric("goldwire_dead_letter_depth") == 0, "there are dead letters")
    expect(program.stop() == 0, "goldwire did not stop well")
    for topic in topics:
        servers.kafka.delete_topic(topic)
    return cost


def made(servers: Servers, app: str, events: str, golden: str, **more: object) -> Goldwire:
    """A goldwire from one topic to another, with fjall."""
    sinks = {"golden": {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": golden}}}
    return Goldwire(servers.folder / app, app, source(servers, events, app), sinks, more={"store": "fjall", **more})
