"""A lake on S3 while goldwire is killed again and again, and after its event log was lost and made again from
the topic: read back by pyarrow, and by the query of docs/lake.md with DuckDB."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset
import pyarrow.fs
from generator import BEGIN, Event
from goldwire import SOURCE, Goldwire, kafka_source
from lib import ROOT, expect, wait_for
from s3 import KEY, REGION, S3, SECRET
from send import TopicSender
from servers import Servers

TOPIC, GROUP, PARTITIONS = "reltio.acme.lake", "crm-sync-lake", 4
ENTITIES, VERSIONS, RATE, KILLS = 4000, 5, 2000, 5
# The mapping of the first log's files, and that of the second's.
MAPPING = {"n": {"attribute": "N", "type": "decimal"}}
MAPPING_AGAIN = {**MAPPING, "whole": {"attribute": "N", "type": "integer"}}
DOCUMENT = ROOT / "docs" / "lake.md"
PREFIX = "bronze/reltio"


def event(uri: str, version: int) -> Event:
    """A change of `uri`; versions of one entity are some seconds apart."""
    body = f'{{"type":"ENTITY_CHANGED","object":{{"uri":"{uri}","attributes":{{"N":[{{"value":{version}.0}}]}}}}}}'
    return Event(uri, "ENTITY_CHANGED", version, BEGIN + version * 20_000, body.encode())


def query(folder: Path) -> str:
    """The documented query, reading the files of this folder."""
    found = re.findall(r"^    -- DuckDB: every change once\n(?:    .*\n|\n)*?(?=^\S)", DOCUMENT.read_text(), re.MULTILINE)
    expect(len(found) == 1, f"{DOCUMENT.name} has {len(found)} queries for DuckDB")
    text = "\n".join(line.removeprefix("    ") for line in found[0].splitlines()).strip()
    expect(text.count("'lake/*/*.parquet',") == 1, "the query names other files")
    return text.replace("lake/*/*.parquet", f"{folder}/*/*.parquet")


def filesystem(s3: S3) -> pyarrow.fs.S3FileSystem:
    """pyarrow's own client."""
    return pyarrow.fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, region=REGION, scheme="http", endpoint_override=f"127.0.0.1:{s3.port}"
    )


def rows(s3: S3, bucket: str) -> Counter[tuple[str, int]]:
    """How often each change is in the bucket, as pyarrow reads it with a client of its own."""
    dataset = pyarrow.dataset.dataset(
        f"{bucket}/{PREFIX}", filesystem=filesystem(s3), format="parquet", partitioning="hive"
    )
    table = dataset.to_table(columns=["subject", "version"])
    return Counter(zip(table["subject"].to_pylist(), table["version"].to_pylist(), strict=True))


def fetch(s3: S3, bucket: str, folder: Path) -> None:
    """Copies the bucket's files to a folder."""
    for key in s3.sizes(bucket):
        path = folder / key.removeprefix(PREFIX + "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.client.download_file(bucket, key, str(path))


def by_log(folder: Path) -> dict[str, list[int]]:
    """How often each change is in the files of a log, by the log's identity in their names."""
    answer = duckdb.sql(
        f"""SELECT regexp_extract(filename, '([^/]+)-p[0-9]+-[0-9]+-', 1) AS log, count(*)
        FROM read_parquet('{folder}/*/*.parquet', filename = true, union_by_name = true)
        GROUP BY log, subject, version"""
    )
    counts: dict[str, list[int]] = {}
    for log, count in answer.fetchall():
        counts.setdefault(log, []).append(count)
    return counts


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    folder = servers.folder / "lake"
    s3 = S3(folder / "s3", "lake", "mirror")
    try:
        return scenario(servers, folder, s3)
    finally:
        s3.stop()


def scenario(servers: Servers, folder: Path, s3: S3) -> str:
    """Kills, and what is there in the end."""
    events = [event(f"entities/e{number}", version) for version in range(1, VERSIONS + 1) for number in range(ENTITIES)]
    # Every seventh once more, at once and much later.
    copies = [again for number, one in enumerate(events) if number % 7 == 0 for again in (one, one)]
    servers.kafka.create_topic(TOPIC, PARTITIONS)
    sender = TopicSender(servers.kafka, TOPIC, PARTITIONS, [*events, *copies], RATE)
    sink = {
        **s3.place(f"s3://lake/{PREFIX}"),
        "mirror": s3.place(f"s3://mirror/{PREFIX}"),
        "keeps_erased_records": True,
        "columns": MAPPING,
        "roll": {"rows": 1000, "age": "1s"},
    }
    goldwire = Goldwire(
        folder / "goldwire", "lake", {SOURCE: kafka_source(servers.kafka, TOPIC, GROUP)}, {"lake": {"lake": sink}}
    )
    goldwire.start()
    sender.start()
    for number in range(1, KILLS + 1):
        share = number * len(events) // (KILLS + 1)
        wait_for(f"{share} records sent", 120, lambda share=share: sender.sent >= share)
        # Anywhere between two files.
        time.sleep(number * 0.13)
        goldwire.kill()
        goldwire.start()
    sender.release()
    sender.join(120)
    expect(not sender.errors and not sender.is_alive(), f"the records were not taken: {sender.errors[:1]}")
    goldwire.wait_idle(GROUP, 240)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")

    expected = {(one.uri, one.version) for one in events}
    found = rows(s3, "lake")
    twice = [key for key, times in found.items() if times != 1]
    expect(not twice, f"{len(twice)} changes have several rows, as {twice[:2]}")
    lost = expected - set(found)
    expect(not lost, f"{len(lost)} changes have no row, as {sorted(lost)[:2]}")
    expect(set(found) == expected, "there are rows of what was not sent")
    sizes, mirrored = s3.sizes("lake"), s3.sizes("mirror")
    # An empty file that kept a late request out is in the first place alone.
    missing = {key for key in sizes if key not in mirrored}
    expect(len(missing) <= KILLS * goldwire_partitions(goldwire), f"the mirror lacks {sorted(missing)[:2]}")
    expect(rows(s3, "mirror") == found, "the mirror has other rows")

    expect(decimals(s3, "lake") == Counter(found.keys()), "a column has other values than its attribute")

    before = s3.versions("lake")
    again(servers, folder, {**sink, "columns": MAPPING_AGAIN})
    after = s3.versions("lake")
    changed = [key for key, version in before.items() if after.get(key) != version]
    expect(not changed, f"{len(changed)} files were rewritten, as {changed[:2]}")
    copy = folder / "copy"
    fetch(s3, "lake", copy)
    counts = by_log(copy)
    expect(len(counts) == 2, f"the files are of {len(counts)} logs")
    for log, times in counts.items():
        expect(times == [1] * len(expected), f"the files of {log} have {len(times)} changes, the most {max(times)} times")
    documented = query(copy).rstrip(";")
    answer = duckdb.sql(f"SELECT subject, version, n = version AND whole = version FROM ({documented})").fetchall()
    told = Counter((subject, version) for subject, version, _ in answer)
    expect(told == Counter(expected), f"the documented query has {len(answer)} rows, {len(expected)} changes were sent")
    expect(all(right for *_, right in answer), "a column has another value than its attribute")
    return (
        f"{len(expected)} changes, each in one row of {len(before)} files after {KILLS} kills, also at the mirror; "
        f"and in one row of {len(after) - len(before)} more files of the log that was made again"
    )


def decimals(s3: S3, bucket: str) -> Counter[tuple[str, int]]:
    """The rows of which a typed column holds the version, as pyarrow reads it."""
    dataset = pyarrow.dataset.dataset(f"{bucket}/{PREFIX}", filesystem=filesystem(s3), format="parquet")
    table = dataset.to_table(columns=["subject", "n"])
    kind = str(table.schema.field("n").type)
    expect(kind == "decimal128(38, 18)", f"pyarrow reads a column of {kind}")
    return Counter((subject, int(n)) for subject, n in zip(table["subject"].to_pylist(), table["n"].to_pylist(), strict=True))


def again(servers: Servers, folder: Path, sink: dict[str, Any]) -> None:
    """Reads the whole topic into a new event log, as after the loss of `data_dir`, while it is killed."""
    group = f"{GROUP}-again"
    source = kafka_source(servers.kafka, TOPIC, group)
    goldwire = Goldwire(folder / "again", "lake", {SOURCE: source}, {"lake": {"lake": sink}})
    for number in range(KILLS):
        goldwire.start()
        time.sleep(0.7 + number * 0.23)
        goldwire.kill()
    goldwire.start()
    goldwire.wait_idle(group, 240)
    code = goldwire.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")


def goldwire_partitions(goldwire: Goldwire) -> int:
    """Partitions of its event log."""
    return len(list((goldwire.folder / "data" / "log").iterdir()))
