"""A wrong SCRAM password, corrected at the broker while goldwire runs."""

from __future__ import annotations

import time

import warehouse
from generator import load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect, wait_for
from send import TopicSender
from servers import Servers

TOPIC, GROUP, DATABASE = "reltio.acme.password", "crm-sync-password", "password"
SECRET = "a-password-the-broker-does-not-know-yet"
SENTENCE = "refuses the credentials"


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    events = load(7, 50, 400, 0, 0)
    servers.kafka.create_topic(TOPIC, 2)
    sender = TopicSender(servers.kafka, TOPIC, 2, events.topic, 10_000)
    sender.release().start()
    sender.join(60)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    sink = {"warehouse": {"warehouse": {"url": servers.postgres.create(DATABASE)}}}
    source = {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP, SECRET)}
    goldwire = Goldwire(servers.folder / "password", "password", source, sink)
    goldwire.start()
    wait_for(f"the log to say `{SENTENCE}`", 60, lambda: SENTENCE in goldwire.log.read_text())
    time.sleep(5)
    expect(goldwire.is_live(), "/livez is not 200 with a wrong password")
    told = goldwire.log.read_text().count(SENTENCE)
    expect(told <= 3, f"the same error was logged {told} times within seconds")
    try:
        servers.kafka.set_password(SECRET)
        goldwire.wait_idle(GROUP, 120)
    finally:
        servers.kafka.reset_password()
    text = goldwire.log.read_text()
    expect(SECRET not in text, "the password is in the log (G10)")
    expect(goldwire.starts == 1, "it was started again")
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    rows = warehouse.postgres_rows(servers.postgres, DATABASE)
    compared = warehouse.compare("warehouse", events.truth, *rows)
    return f"refused, live, told {told} times; corrected at the broker without a restart: {compared}"
