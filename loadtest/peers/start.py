"""From the start of a goldwire that knows a million entities to its first delivery."""

from __future__ import annotations

import statistics
import time

from aims import Aims
from goldwire import Goldwire
from lib import expect
from measure import MILLION, Ends, broker_of, launch, rounds, watch
from scenario_throughput import SEED, loadtest, source
from servers import Servers

APP, PARTITIONS = "start", 4
TOPICS = (f"{APP}.events", f"{APP}.golden")
STORES = ("sled", "fjall")


def run(servers: Servers, aims: Aims) -> None:
    """Both stores; the aim is for the default one."""
    medians = {store: of_store(servers, store) for store in STORES}
    aims.tell("start", medians["sled"])


def of_store(servers: Servers, store: str) -> float:
    """Fills a ledger, then starts it some times, each time with one event that waits: the median."""
    for topic in TOPICS:
        servers.kafka.create_topic(topic, PARTITIONS)
    sinks = {"golden": {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": TOPICS[1]}}}
    program = Goldwire(servers.folder / f"{APP}-{store}", APP, source(servers, TOPICS[0], APP), sinks,
                       more={"store": store})  # fmt: skip
    fill(servers, MILLION, 0)
    with Ends(servers.kafka.plain, [TOPICS[1]], PARTITIONS) as ends:
        watch(launch(program), broker_of(servers), ends)
        expect(program.stop() == 0, "goldwire did not stop well")
        seconds = [first_delivery(servers, program, ends, number) for number in range(max(rounds(), 3))]
    print(f"  {store}: {', '.join(f'{of:.2f}' for of in seconds)} s", flush=True)
    for topic in TOPICS:
        servers.kafka.delete_topic(topic)
    return statistics.median(seconds)


def first_delivery(servers: Servers, program: Goldwire, ends: Ends, number: int) -> float:
    """One start, with an event that waits for it."""
    # A tenth of the events are copies, so some are sent.
    fill(servers, 20, MILLION + 20 * number)
    before, began = ends(), time.monotonic()
    process = launch(program)
    while ends() == before:
        expect(process.is_alive(), f"goldwire ended by itself: {process.tail()}")
        expect(time.monotonic() - began < 120, "nothing was delivered for two minutes")
        time.sleep(0.01)
    seconds = time.monotonic() - began
    program.wait_idle(APP, 60)
    expect(program.stop() == 0, "goldwire did not stop well")
    return seconds


def fill(servers: Servers, events: int, skip: int) -> None:
    """Small events into the source's topic: all entities once, then some again."""
    loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", TOPICS[0], "--partitions", str(PARTITIONS),
             "--seed", str(SEED), "--entities", str(MILLION), "--each-once", "--small",
             "--events", str(skip + events), "--skip", str(skip))  # fmt: skip
