"""The warehouse through PgBouncer in its three modes, and in a database that is no UTF8."""

from __future__ import annotations

import os
import subprocess

import warehouse
from generator import Load, load
from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect
from pgbouncer import Pgbouncer
from scenario_cargo import ignored_tests
from send import TopicSender
from servers import Servers

TOPIC, PARTITIONS = "reltio.acme.pooler", 2


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    said = [refused_mode(servers), encoding(servers)]
    events = load(11, 60, 600, 0, 0)
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sender = TopicSender(servers.kafka, TOPIC, PARTITIONS, events.topic, 10_000)
    sender.release().start()
    sender.join(60)
    expect(not sender.errors, f"the records were not taken: {sender.errors[:1]}")
    for mode in ("transaction", "session"):
        pooler = Pgbouncer(servers.folder / f"pgbouncer-{mode}", servers.postgres, mode).start()
        said.append(f"{mode}: {end_to_end(servers, pooler, events)}")
        url = servers.postgres.create(f"tests-{mode}")
        environment = {
            "GOLDWIRE_TEST_POSTGRES": url,
            "GOLDWIRE_TEST_POOLER": pooler.address,
            # Each has connections of its own, and a pool is of one user and database.
            "RUST_TEST_THREADS": "3",
        }
        said.append(ignored_tests(servers, "postgres", environment))
        pooler.stop()
    return "; ".join(said)


def goldwire(servers: Servers, name: str, url: str) -> Goldwire:
    """A goldwire with a warehouse at `url`."""
    sink = {"warehouse": {"warehouse": {"url": url, "statement_timeout": "10s"}}}
    source = {SOURCE: kafka_source(servers.kafka, TOPIC, f"crm-sync-{name}")}
    return Goldwire(servers.folder / name, name, source, sink)


def check(program: Goldwire) -> str:
    """What `check --connect` prints."""
    words = [os.environ["GOLDWIRE_BIN"], "check", "--connect", "--config", str(program.config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def refused_mode(servers: Servers) -> str:
    """Statement mode takes no transactions: that is told, and is no outage."""
    pooler = Pgbouncer(servers.folder / "pgbouncer-statement", servers.postgres, "statement").start()
    servers.postgres.create("statement")
    program = goldwire(servers, "statement", servers.postgres.url("statement", pooler.port))
    said = check(program)
    expect("statement mode takes no transactions" in said, f"check --connect says: {said[-600:]}")
    pooler.stop()
    return "statement mode is refused"


def encoding(servers: Servers) -> str:
    """A database in LATIN1 is refused by `check --connect`; the suite sees what a delivery does."""
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    program = goldwire(servers, "latin1", servers.postgres.create("latin1", options))
    said = check(program)
    expect("encoding is not UTF8" in said, f"check --connect says: {said[-600:]}")
    return "LATIN1 is refused"


def end_to_end(servers: Servers, pooler: Pgbouncer, events: Load) -> str:
    """What goes through the pooler is whole, and leaves nothing on its connections."""
    database = f"pooler-{pooler.mode}"
    servers.postgres.create(database)
    program = goldwire(servers, database, servers.postgres.url(database, pooler.port))
    said = check(program)
    expect("08P01" not in said and "pooler" not in said.replace(database, ""), f"it says: {said[-600:]}")
    program.start()
    program.wait_idle(f"crm-sync-{database}", 120)
    rows = warehouse.postgres_rows(servers.postgres, database)
    compared = warehouse.compare(database, events.truth, *rows)
    # Whoever gets the connection next finds it as the server makes it.
    other = pooler.connect(database)
    with other.cursor() as cursor:
        for setting, wanted in (("enable_seqscan", "on"), ("statement_timeout", "0")):
            cursor.execute(f"SHOW {setting}")
            found = cursor.fetchone()
            expect(found == (wanted,), f"{setting} is left as {found}")
    other.close()
    expect(program.stop() == 0, "it did not stop in an orderly way")
    return compared
