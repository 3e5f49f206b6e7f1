"""Webhooks while the broker that keeps the log is away: the journal takes them, and nothing is lost."""

from __future__ import annotations

import random
import signal

import warehouse
from generator import Event, Truth, histories
from goldwire import Goldwire, webhooks
from lib import expect, wait_for
from send import HookSender
from servers import Servers

SUBJECTS, EVENTS, COPIES = 200, 900, 100
APP, RATE = "inbox", 60.0
TAKEN = "the journal takes it, and is drained as ever"


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    folder = servers.folder / APP
    rng = random.Random(29)
    events, truth = histories(SUBJECTS, EVENTS, rng), Truth()
    for event in events:
        truth.add(event)
    events += rng.sample(events, COPIES)
    rng.shuffle(events)
    third = len(events) // 3
    lake = folder / "lake.db"
    log = {"kafka": {"bootstrap_servers": servers.kafka.plain, "partitions": 4, "replication": 1}}
    goldwire = Goldwire(
        folder, APP, webhooks(), {"lake": {"warehouse": {"url": f"sqlite:{lake}"}}},
        servers.certificates, {"log": log},
    )  # fmt: skip
    goldwire.start()
    refused = send(servers, goldwire, events[:third])
    servers.kafka.stop(signal.SIGKILL)
    refused += send(servers, goldwire, events[third : 2 * third])
    expect(refused == 0, f"{refused} webhooks were not answered 200")
    expect(goldwire.is_live(), "goldwire is not live while the broker is away")
    expect(goldwire.get("/readyz")[0] == 200, "/readyz is not 200 while the journal takes webhooks")
    told = goldwire.log.read_text().count(TAKEN)
    expect(told == 1, f"that the journal took over was told {told} times")
    # What was answered 200 is in the journal now, and nowhere else.
    goldwire.kill()
    servers.kafka.start()
    goldwire.start()
    send(servers, goldwire, events[2 * third :])
    groups = [f"{APP}.{name}" for name in ("inbox", "inbox-journal", "lake")]
    lags: dict[str, float] = {}
    rows = 0

    def drained() -> bool:
        nonlocal lags, rows
        lags = goldwire.lags()
        rows = len(warehouse.sqlite_rows(lake)[1])
        return rows >= EVENTS and all(lags.get(group, 1) == 0 for group in groups)

    wait_for(lambda: f"everything to be delivered (last seen: {rows} rows, {lags})", 120, drained, every=0.5)
    letters = goldwire.metric("goldwire_dead_letter_depth")
    expect(letters == 0, f"{letters:.0f} dead letters, and no event was bad")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    compared = warehouse.compare("SQLite", truth, *warehouse.sqlite_rows(lake))
    return (
        f"{len(events)} webhooks answered 200, a third of them while the broker was dead and with "
        f"goldwire killed after them; {compared}"
    )


def send(servers: Servers, goldwire: Goldwire, events: list[Event]) -> int:
    """Posts events, each until it is answered 200; how many were not at the first try."""
    sender = HookSender("standard", [goldwire.webhook_port], servers.certificates.ca, events, RATE)
    sender.start()
    sender.join(300)
    expect(not sender.is_alive() and not sender.errors, f"webhooks were not taken: {sender.errors[:2]}")
    return sender.refused
