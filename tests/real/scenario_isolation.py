"""A sink that refuses, one that never answers, one that falls silent in the middle of a write, while
the other goes on (G6)."""

from __future__ import annotations

import time

import warehouse
from generator import Load, load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from proxy import Mode, Proxy
from send import TopicSender
from servers import Servers

TOPIC, PARTITIONS = "reltio.acme.isolation", 4
EVENTS = 100_000
# How long the bad sink is bad at least.
BAD = 60.0


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    events = load(11, 5_000, EVENTS, 0, 0)
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sender = TopicSender(servers.kafka, TOPIC, PARTITIONS, events.topic, 1_000_000)
    sender.release().start()
    sender.join(300)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    return "; ".join(one(servers, events, mode) for mode in ("refuse", "mute", "stall"))


def one(servers: Servers, events: Load, mode: Mode) -> str:
    """The topic once more from its beginning, with a bad sink of one kind."""
    app = f"isolation-{mode}"
    folder = servers.folder / app
    servers.postgres.create(app)
    proxy = Proxy(servers.postgres.port)
    proxy.set(mode)
    good = folder / "good.db"
    sinks = {
        "good": {"warehouse": {"url": f"sqlite:{good}"}},
        "bad": {"warehouse": {"url": servers.postgres.url(app, proxy.port)}},
    }
    goldwire = Goldwire(folder, app, {SOURCE: kafka_source(servers.kafka, TOPIC, app)}, sinks)
    goldwire.start()
    began = time.monotonic()
    # The event log has to be complete first: an empty log has no lag either.
    wait_for("ingest to end", 300, lambda: goldwire.lags().get(app, 1) == 0, every=0.5)
    wait_for("the good sink to reach the end", 300, lambda: goldwire.lag("good") == 0, every=0.5)
    took = time.monotonic() - began
    bad = goldwire.lag("bad")
    expect(bad >= EVENTS * 0.9, f"the bad sink has only {bad:.0f} records to go: it was not bad")
    rows = warehouse.sqlite_rows(good)
    warehouse.compare(f"good sink beside one that is bad ({mode})", events.truth, *rows)
    expect(goldwire.is_live(), "/livez is not 200 while a sink is away")
    expect(goldwire.get("/readyz")[0] == 200, "a sink's state made ingest unready")
    if mode == "mute":
        expect(proxy.accepted > 0, "the sink never tried to connect")
    if mode == "stall":
        expect(proxy.left == 0, f"the sink did not come to write: {proxy.left} bytes short")
    time.sleep(max(0.0, BAD - (time.monotonic() - began)))
    proxy.set("pass")
    goldwire.wait_idle(app, 600)
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters after an outage")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    proxy.set("refuse")
    rows = warehouse.postgres_rows(servers.postgres, app)
    compared = warehouse.compare(f"sink that was bad ({mode})", events.truth, *rows)
    return f"{mode}: the good sink took {EVENTS} records in {took:.0f} s while the other had {bad:.0f} to go; repaired: {compared}"
