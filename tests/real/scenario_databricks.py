"""What `goldwire schema databricks` prints, run by DuckDB over the files of a lake sink: file by file, in
no order. Two things are replaced: STREAM read_files(…) by read_parquet of the files that came, and with it
CREATE OR REFRESH STREAMING TABLE by what it means; and backquotes by double ones."""

from __future__ import annotations

import os
import random
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet
from generator import TENANT, Event, histories
from goldwire import SOURCE, Goldwire, kafka_source
from lib import command, expect
from send import TopicSender
from servers import Servers

TOPIC, GROUP, PARTITIONS = "reltio.acme.databricks", "crm-sync-databricks", 2
SUBJECTS, EVENTS, RUNS = 150, 3000, 8
BRONZE = re.compile(r"^CREATE OR REFRESH STREAMING TABLE (\w+) AS\n(.*?)STREAM read_files\(.*?\n\)$", re.DOTALL)

# Who, its version, its commit time (ms).
Change = tuple[str, int, int]


def millis(at: datetime | None) -> int | None:
    """A time as ms since 1970."""
    return None if at is None else round(at.replace(tzinfo=UTC).timestamp() * 1000)


class Tables:
    """The printed statements, and a database that they are run in."""

    def __init__(self, text: str) -> None:
        plain = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        plain = plain.replace("`", '"')
        self.statements = [one.strip() for one in plain.split(";\n") if one.strip(" ;\n")]
        expect(len(self.statements) == 8, f"{len(self.statements)} statements are printed")
        self.database = duckdb.connect()
        self.database.execute("SET TimeZone = 'UTC'")
        self.loads = 0

    def run(self, files: list[Path]) -> None:
        """Runs all of them after these files came."""
        first, *others = self.statements
        found = BRONZE.match(first)
        expect(found is not None, f"the first statement is {first[:80]}")
        made = f"CREATE TABLE {found[1]} AS" if self.loads == 0 else f"INSERT INTO {found[1]}"
        self.database.execute(f"{made} {found[2]} read_parquet({[str(file) for file in files]})")
        self.loads += 1
        for statement in others:
            self.database.execute(statement)

    def rows(self, sql: str) -> list[tuple]:
        """The rows of a query."""
        return self.database.execute(sql).fetchall()


def events(rng: random.Random) -> list[Event]:
    """Histories in which some subjects are erased, and some of those come again."""
    made = histories(SUBJECTS, EVENTS, rng)
    by_subject: dict[str, list[Event]] = defaultdict(list)
    for event in made:
        by_subject[event.uri].append(event)
    for number, changes in enumerate(by_subject.values()):
        if number % 9 == 0:
            place = len(changes) - 1 - (number % 2)
            one = changes[place]
            prefix = "RELATIONSHIP" if one.uri.startswith("relations/") else "ENTITY"
            kind = f"{prefix}_REMOVED_GDPR"
            body = f'{{"type":"{kind}","uri":"{one.uri}"}}'.encode()
            changes[place] = Event(one.uri, kind, one.version, one.commit_time, body)
    return [event for changes in by_subject.values() for event in changes]


def truth(sent: list[Event]) -> tuple[dict[str, tuple[str, int]], dict[Change, tuple[int | None, bool]]]:
    """Each subject's state and version, and each change's end and whether it is current."""
    current: dict[str, tuple[str, int]] = {}
    history: dict[Change, tuple[int | None, bool]] = {}
    by_subject: dict[str, list[Event]] = defaultdict(list)
    for event in sent:
        by_subject[event.uri].append(event)
    for uri, changes in by_subject.items():
        changes.sort(key=lambda event: event.commit_time)
        erased = max((place for place, one in enumerate(changes) if one.kind.endswith("GDPR")), default=0)
        kept = changes[erased:]
        for one, after in zip(kept, [*kept[1:], None], strict=True):
            history[(uri, one.version, one.commit_time)] = (after and after.commit_time, after is None)
        last = kept[-1].kind
        state = "erased" if last.endswith("GDPR") else "removed" if last.endswith("_REMOVED") else "alive"
        current[uri] = (state, kept[-1].version)
    return current, history


def compare(tables: Tables, sent: list[Event]) -> int:
    """Fails unless the tables hold what was sent; the rows of the history."""
    current, history = truth(sent)
    found = tables.rows("SELECT subject, state, version, seq FROM golden_records")
    expect(len(found) == len(current), f"{len(found)} subjects, {len(current)} were sent")
    for subject, state, version, text in found:
        expect((state, version) == current[subject], f"{subject} is {state} at {version}, not {current[subject]}")
        expect((text is not None) == (state == "alive"), f"{subject} is {state}, with {text}")
        expect(text is None or text == f"{subject}@{version}", f"{subject} has the content of another version")
    found = tables.rows(
        "SELECT subject, version, commit_time, valid_from, valid_to, is_current, tenant FROM golden_record_history"
    )
    expect(len(found) == len(history), f"{len(found)} changes in the history, {len(history)} are")
    for subject, version, commit_time, begin, end, is_current, tenant in found:
        key = (subject, version, millis(commit_time))
        expect((millis(end), is_current) == history.get(key), f"{key} ends {end}, not {history.get(key)}")
        expect(begin == commit_time and tenant == TENANT, f"{key} begins {begin}")
    columns = tables.rows("SELECT count(*), count(\"order\"), count(born) FROM golden_record_history WHERE state = 'alive'")
    expect(columns[0][0] == columns[0][1] and columns[0][2] == 0, f"columns have (rows, names, dates) {columns[0]}")
    erased = [uri for uri, (state, _) in current.items() if state == "erased"]
    expect(len(erased) > 3, "nobody was erased in the end")
    left = tables.rows(
        f"SELECT count(*) FROM golden_record_changes WHERE subject IN {tuple(erased)} AND state <> 'erased'"
    )
    expect(left == [(0,)], f"{left} changes of erased subjects are still there")
    return len(found)


def merges(tables: Tables, model: Path, folder: Path) -> None:
    """Fails unless the view of merges follows who was absorbed, and who lives again."""
    schema = pyarrow.parquet.read_schema(model)
    steps = [
        ("entities/l1", "absorbed", "entities/w", 1), ("entities/l2", "alive", None, 1),
        ("entities/l2", "absorbed", "entities/w", 2), ("entities/l2", "absorbed", "entities/w", 3),
        ("entities/l2", "alive", None, 4), ("entities/l3", "absorbed", "entities/w", 1),
        ("entities/l3", "absorbed", "entities/x", 5), ("entities/l3", "removed", None, 6),
    ]  # fmt: skip
    random.Random(5).shuffle(steps)
    for number, (subject, state, winner, version) in enumerate(steps):
        row = dict.fromkeys(schema.names) | {
            "id": f"m{number}", "tenant": TENANT, "subject": subject, "object_type": "", "kind": state,
            "version": version, "commit_time": version * 1000, "received_time": version * 1000,
            "observed": False, "state": state, "absorbed_by": winner,
        }  # fmt: skip
        file = folder / f"merge-{number}.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row], schema=schema), file)
        tables.run([file])
    found = tables.rows("SELECT loser, winner, merged_at, unmerged_at, active FROM merges ORDER BY loser, merged_at")
    told = [(loser, winner, millis(at), millis(until), active) for loser, winner, at, until, active in found]
    wanted = [
        ("entities/l1", "entities/w", 1000, None, True), ("entities/l2", "entities/w", 2000, 4000, False),
        ("entities/l3", "entities/w", 1000, 5000, False), ("entities/l3", "entities/x", 5000, None, True),
    ]  # fmt: skip
    expect(told == wanted, f"the merges are {told}")


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    rng = random.Random(77)
    sent = events(rng)
    shuffled = rng.sample(sent, len(sent))
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sender = TopicSender(servers.kafka, TOPIC, PARTITIONS, shuffled, 10_000)
    sender.release().start()
    sender.join(120)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    folder = servers.folder / "databricks"
    lake = {
        "url": str(folder / "lake"), "keeps_erased_records": True, "roll": {"rows": 20, "age": "1s"},
        "columns": {"order": "FirstName", "seq": "Seq", "born": {"attribute": "FirstName", "type": "date"}},
    }  # fmt: skip
    source = kafka_source(servers.kafka, TOPIC, GROUP)
    goldwire = Goldwire(folder / "goldwire", "databricks", {SOURCE: source}, {"files": {"lake": lake}})
    goldwire.start()
    goldwire.wait_idle(GROUP, 240)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")

    files = [*(folder / "lake").rglob("*.parquet")]
    expect(len(files) > 2 * RUNS, f"there are {len(files)} files")
    text = command(os.environ["GOLDWIRE_BIN"], "schema", "databricks", "files", "--config", str(goldwire.config))
    counts = set()
    for _ in range(2):
        tables = Tables(text)
        rng.shuffle(files)
        for number in range(RUNS):
            tables.run(files[number::RUNS])
        # Nothing came: nothing changes. A file that is loaded twice changes nothing either.
        for again in ([], files[:1]):
            before = tables.rows("SELECT * FROM golden_record_history ORDER BY ALL")
            if again:
                tables.run(again)
            else:
                for statement in tables.statements[1:]:
                    tables.database.execute(statement)
            expect(tables.rows("SELECT * FROM golden_record_history ORDER BY ALL") == before, "a run changed what was there")
            counts.add(compare(tables, sent))
    merges(tables, files[0], folder)
    return f"{len(sent)} changes in {len(files)} files, merged in {RUNS} runs: {SUBJECTS} subjects, {max(counts)} rows of history"
