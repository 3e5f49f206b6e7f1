"""The query of docs/files.md, run by DuckDB over what the file sink wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb

from generator import BEGIN, TENANT, Event
from goldwire import SOURCE, Goldwire, kafka_source
from lib import ROOT, Failed, expect
from send import TopicSender
from servers import Servers

TOPIC, GROUP = "reltio.acme.duckdb", "crm-sync-duckdb"
# DuckDB looks at so many lines before it decides what columns there are.
SAMPLED = 20_480
DOCUMENT = ROOT / "docs" / "files.md"
VALUES = ROOT / "tests" / "it" / "values"
# Objects as they stand in the events; half of a surrogate pair is shown as a mark.
LATE = '{"uri": "entities/late", "attributes": {"Late": [{"value": "é"}], "firstname": [{"value": "n"}]}}'
MEMBERS = {
    "id", "tenant", "subject", "object_type", "kind", "version", "commit_time", "received_time",
    "observed", "state", "absorbed_by", "object_exact", "object",
}  # fmt: skip


def event(uri: str, version: int, body: str) -> Event:
    """A change of `uri` whose body is this text."""
    return Event(uri, "ENTITY_CREATED", version, BEGIN + version * 2000, body.encode())


def told(text: str) -> str:
    """An event with `text` as its object."""
    return f'{{"type": "ENTITY_CREATED", "object": {text}}}'


def objects() -> dict[str, str]:
    """The objects that are written last, by their subject, as the sender prints them."""
    found = {"entities/late": LATE}
    for name in ("numbers", "lone_surrogate", "private_raw_value"):
        body = (VALUES / f"{name}.json").read_text().strip()
        uri = json.loads(body)["object"]["uri"]
        found[uri] = body[body.index('"object":') + 9 : -1]
    found["entities/huge"] = '{"uri":"entities/huge","attributes":{"N":[{"value":1e400}]}}'
    return found


def query(folder: Path) -> str:
    """The documented query, reading the files of this folder."""
    blocks = re.findall(r"^    -- DuckDB: every change once\n(?:    .*\n|\n)*?(?=^\S)", DOCUMENT.read_text(), re.MULTILINE)
    expect(len(blocks) == 1, f"{DOCUMENT.name} has {len(blocks)} queries for DuckDB")
    lines = [line.removeprefix("    ") for line in blocks[0].splitlines()]
    text = "\n".join(lines).strip()
    places = text.count("'events/*.ndjson'")
    expect(places == 1, f"the query of {DOCUMENT.name} names the files {places} times")
    return text.replace("events/*.ndjson", f"{folder}/*.ndjson")


def rows(sql: str) -> tuple[list[str], list[dict[str, object]]]:
    """What DuckDB answers: the columns, and each row by them."""
    connection = duckdb.connect()
    try:
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description]
        return names, [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    except duckdb.Error as error:
        raise Failed(f"DuckDB refuses the query of {DOCUMENT.name}: {error}") from error
    finally:
        connection.close()


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    plain = '{"uri": "entities/e%d", "attributes": {"FirstName": [{"value": "Ada"}]}}'
    first = [event(f"entities/e{number}", 1, told(plain % number)) for number in range(SAMPLED + 100)]
    last = objects()
    # The first is told once more with its next version, the others once.
    events = [*first, event("entities/e0", 2, told(plain % 0))]
    events += [event(uri, 1, told(text)) for uri, text in last.items()]
    servers.kafka.create_topic(TOPIC, 1)
    sender = TopicSender(servers.kafka, TOPIC, 1, events, 20_000)
    sender.release().start()
    sender.join(120)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    folder = servers.folder / "duckdb" / "events"
    sink = {"events": {"file": {"dir": str(folder), "keeps_erased_records": True}}}
    goldwire = Goldwire(servers.folder / "duckdb", "duckdb", {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP)}, sink)
    goldwire.start()
    goldwire.wait_idle(GROUP, 240)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    return compared(folder, len(events), last)


def compared(folder: Path, many: int, last: dict[str, str]) -> str:
    """Fails unless DuckDB sees what was sent, while a line is being written as after it."""
    files = sorted(folder.glob("*.ndjson"))
    complete = files[-1].read_bytes()
    members = set(json.loads(complete.splitlines()[-1]))
    expect(members == MEMBERS, f"a line has other members than documented: {members ^ MEMBERS}")
    # A line that comes twice, and one of which the end is not there yet.
    with files[-1].open("ab") as file:
        file.write(complete.splitlines()[-1] + b"\n" + complete.splitlines()[-1][:-30])
    names, found = rows(query(folder))
    expect(set(names) == MEMBERS, f"the query has other columns than a line has members: {names}")
    expect(len(found) == many, f"{len(found)} changes, {many} were sent")
    expect(all(row["tenant"] == TENANT and row["state"] == "alive" for row in found), "a row lacks its head")
    by_subject = {str(row["subject"]): row for row in found}
    for uri, text in last.items():
        row = by_subject[uri]
        shown = text.replace("\\ud83d", "\\ufffd")
        expect(row["object"] == shown, f"{uri} is {row['object']}, {shown} was sent")
        exact = None if shown == text else text
        expect(row["object_exact"] == exact, f"{uri} is exactly {row['object_exact']}, {exact} was sent")
    expect(by_subject["entities/e0"]["version"] in (1, 2), "a number is no number")
    first = [row for row in found if "FirstName" in str(row["object"])]
    expect(len(first) == SAMPLED + 101, f"{len(first)} changes have a FirstName")
    return f"{len(found)} changes with every digit, an attribute that came late, and names that differ in case"
