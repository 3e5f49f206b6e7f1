"""W5: Kafka to a table of all versions and a table of the newest, in PostgreSQL.

Kafka Connect's JDBC sinks know no versions: an old version that comes late overwrites a newer one in the
table of the newest. How many rows are wrong at its end is told beside its figures.
"""

from __future__ import annotations

import shutil
import statistics
import string
from collections.abc import Callable
from pathlib import Path

import exports
import postgres
import psycopg2.extensions
from aims import Aims
from goldwire import Goldwire
from lib import ROOT, Process, expect
from measure import Pass, Passes, broker_of, events, launch, rounds, table, watch
from scenario_throughput import ENTITIES, Load, source
from servers import Servers

TOPIC = "reltio.acme.w5"
CONNECT = ROOT / "target" / "peers" / "connect"
FILES = ROOT / "loadtest" / "peers" / "connect"
# The flags of Kafka's own start scripts, with half their heap.
JAVA = ["java", "-Xms256m", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]  # fmt: skip
TABLES = tuple(exports.TABLES.values())
STORES = ("sled", "fjall")
WRITTEN = "SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0) FROM pg_stat_user_tables WHERE relname IN %s"


def run(servers: Servers, aims: Aims) -> None:
    """Rounds of all by turns; a bare COPY of the same rows after each of goldwire's."""
    load = Load(events(300_000), ENTITIES // 2)
    load.fill(servers, TOPIC)
    ours = {store: Passes(f"goldwire, {store}", load.events, "events") for store in STORES}
    peer = Passes("Kafka Connect", load.events, "events")
    for number in range(rounds()):
        for store, passes in ours.items():
            passes.add(goldwire(servers, load, f"w5_{store}_{number}", store))
        peer.add(connect(servers, f"w5_connect_{number}"))
        versions = {of.name: of.all[-1].more["versions"] for of in (*ours.values(), peer)}
        expect(len(set(versions.values())) == 1, f"the histories have other numbers of versions: {versions}")
    servers.kafka.delete_topic(TOPIC)
    print(table("events", [*ours.values(), peer]))

    def rate(of: Passes, name: str) -> float:
        return statistics.median(one.more[name] for one in of.all)

    # The store that docs/performance.md advises for speed, as in W1.
    aims.tell("w5_rate", rate(ours["fjall"], "rows/s") / rate(peer, "rows/s"))
    aims.tell("w5_copy", rate(ours["fjall"], "÷ COPY"))


def goldwire(servers: Servers, load: Load, app: str, store: str) -> Pass:
    """goldwire's warehouse with its defaults, and one of the stores."""
    folder = servers.folder / app
    sinks = {"a": {"warehouse": {"url": servers.postgres.create(app)}}}
    program = Goldwire(folder, app, source(servers, TOPIC, app), sinks, more={"store": store})
    watching = servers.postgres.connect(app)
    one = watch(launch(program), broker_of(servers), written(watching))
    watching.close()
    code = program.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    history, current = exports.postgres(servers.postgres.connect(app), folder)
    told = load.account("rows", "--history", str(history), "--current", str(current))
    written_rows, seconds = exports.bare_copy(servers.postgres.connect(app), folder)
    one.more |= {"rows/s": written_rows / one.seconds, "÷ COPY": seconds / one.seconds, "versions": told["changes"]}
    servers.postgres.drop(app)
    shutil.rmtree(folder)
    return one


def connect(servers: Servers, app: str) -> Pass:
    """A standalone worker of Kafka Connect with two JDBC sinks."""
    folder = servers.folder / app
    folder.mkdir()
    servers.postgres.create(app)
    letters = f"{app}.letters"
    servers.kafka.create_topic(letters, 1)
    values = {
        "BOOTSTRAP": servers.kafka.plain, "TOPIC": TOPIC, "DEAD_LETTERS": letters, "APP": app,
        "HISTORY_TASKS": "2", "CURRENT_TASKS": "1", "BATCH": "5000", "COMMIT_MS": "1000",
        "FOLDER": str(folder), "REST_PORT": "0", "PLUGINS": str(CONNECT / "plugins"),
        "JDBC_URL": f"jdbc:postgresql://127.0.0.1:{servers.postgres.port}/{app}",
        "USER": postgres.USER, "PASSWORD": postgres.PASSWORD,
    }  # fmt: skip
    files = [filled(FILES / f"{name}.properties", folder, values) for name in ("worker", "history", "current")]
    words = [*JAVA, "-cp", f"{CONNECT}/classes:{CONNECT}/libs/*",
             "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)]  # fmt: skip
    watching = servers.postgres.connect(app)
    with watching, watching.cursor() as cursor:
        cursor.execute((FILES / "tables.sql").read_text())
    process = Process(app, words, folder / "connect.log")
    one = watch(process, broker_of(servers), written(watching))
    watching.close()
    process.stop()
    expect(servers.kafka.end(letters, 1) == 0, "there are dead letters, and no event was bad")
    one.more |= judged(servers, app, one)
    servers.postgres.drop(app)
    servers.kafka.delete_topic(letters)
    shutil.rmtree(folder)
    return one


def filled(template: Path, folder: Path, values: dict[str, str]) -> Path:
    """A configuration file with its placeholders filled in."""
    file = folder / template.name
    file.write_text(string.Template(template.read_text()).substitute(values))
    return file


def written(connection: psycopg2.extensions.connection) -> Callable[[], int]:
    """How many rows were written to both tables so far."""
    connection.autocommit = True

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(WRITTEN, (TABLES,))
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    return count


def judged(servers: Servers, app: str, one: Pass) -> dict[str, float]:
    """What is in a peer's tables, and how many of its newest versions are old ones."""
    connection = servers.postgres.connect(app)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        history, current = (rows(cursor, f"SELECT count(*) FROM {table}") for table in TABLES)
        old = rows(cursor, f"SELECT count(*) FROM {TABLES[1]} c JOIN (SELECT subject, max(version) AS newest "
                           f"FROM {TABLES[0]} GROUP BY subject) h USING (subject) WHERE c.version < newest")  # fmt: skip
    connection.close()
    return {"rows/s": (history + current) / one.seconds, "versions": history, "entities whose newest is lost": old}


def rows(cursor: psycopg2.extensions.cursor, counts: str) -> int:
    """What a query counts."""
    cursor.execute(counts)
    row = cursor.fetchone()
    return int(row[0]) if row else 0
