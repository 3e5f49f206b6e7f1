"""Compares a warehouse's tables with the truth, row by row."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from generator import TENANT, Truth
from lib import expect
from postgres import Postgres

Row = tuple[Any, ...]
CURRENT = """
SELECT subject, state, version, commit_time, object FROM golden_records WHERE tenant = '{tenant}'
UNION ALL
SELECT subject, state, version, commit_time, object FROM relations WHERE tenant = '{tenant}'
""".format(tenant=TENANT)
HISTORY = f"SELECT subject, version, commit_time FROM golden_record_history WHERE tenant = '{TENANT}'"

COLUMNS = {
    "seq": "Seq",
    "first_name": {"attribute": "FirstName", "object_type": "Individual"},
}
# Of what lives: where a column of `COLUMNS` is not what the snapshot of its version says.
WRONG = " UNION ALL ".join(
    f"""SELECT subject FROM {table} WHERE tenant = '{TENANT}' AND state = 'alive' AND (seq IS NULL
    OR seq <> subject || '@' || version OR (first_name IS NULL) = (object_type = 'Individual'))"""
    for table in ("golden_records", "relations", "golden_record_history")
)


def postgres_wrong_columns(server: Postgres, database: str) -> list[Row]:
    """Rows of a PostgreSQL warehouse whose columns are not those of `COLUMNS`."""
    connection = server.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(WRONG)
            return cursor.fetchall()
    finally:
        connection.close()


def sqlite_wrong_columns(path: Path) -> list[Row]:
    """Rows of a SQLite warehouse whose columns are not those of `COLUMNS`."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(WRONG).fetchall()
    finally:
        connection.close()


def postgres_rows(server: Postgres, database: str) -> tuple[list[Row], list[Row]]:
    """Current and history rows of a PostgreSQL warehouse; JSON as text."""
    connection = server.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(CURRENT.replace("object FROM", "object::text FROM"))
            current = cursor.fetchall()
            cursor.execute(HISTORY)
            return current, cursor.fetchall()
    finally:
        connection.close()


def sqlite_rows(path: Path) -> tuple[list[Row], list[Row]]:
    """Current and history rows of a SQLite warehouse."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(CURRENT).fetchall(), connection.execute(HISTORY).fetchall()
    finally:
        connection.close()


def compare(name: str, truth: Truth, current: list[Row], history: list[Row]) -> str:
    """Fails unless the tables are the truth; otherwise says how much was compared."""
    seen = {row[0]: (row[1], row[2], row[3]) for row in current}
    missing = truth.current.keys() - seen.keys()
    extra = seen.keys() - truth.current.keys()
    expect(not missing, f"{name}: {len(missing)} subjects are missing: {sorted(missing)[:3]}")
    expect(not extra, f"{name}: {len(extra)} subjects too many: {sorted(extra)[:3]}")
    wrong = [uri for uri, state in truth.current.items() if seen[uri] != state]
    if wrong:
        uri = wrong[0]
        expect(False, f"{name}: {len(wrong)} of {len(seen)} subjects are not the newest: {uri} is "
               f"{seen[uri]}, should be {truth.current[uri]}")  # fmt: skip
    content = [row[0] for row in current if row[1] == "alive" and f"{row[0]}@{row[2]}" not in str(row[4])]
    expect(not content, f"{name}: {len(content)} subjects hold another version's content: {content[:3]}")
    rows = set(history)
    expect(len(rows) == len(history), f"{name}: {len(history) - len(rows)} history rows are there twice")
    lost, invented = truth.history - rows, rows - truth.history
    expect(not lost, f"{name}: {len(lost)} history rows are missing: {sorted(lost)[:3]}")
    expect(not invented, f"{name}: {len(invented)} history rows too many: {sorted(invented)[:3]}")
    return f"{len(current)} current rows and {len(history)} history rows equal the truth"
