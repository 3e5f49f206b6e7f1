"""Rows of a warehouse as text files for `loadtest account rows`, and a COPY of them to compare with."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import psycopg2.extensions

TABLES = {
    "history": "golden_record_changes",
    "current": "golden_records",
}
COLUMNS = "subject, version, commit_time"


def sqlite(database: Path, folder: Path) -> tuple[Path, Path]:
    """Files of the history's and of the current table's rows."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        for name, table in TABLES.items():
            with (folder / name).open("w") as out:
                for row in connection.execute(f"SELECT {COLUMNS} FROM {table}"):
                    out.write("\t".join(map(str, row)) + "\n")
    finally:
        connection.close()
    return folder / "history", folder / "current"


def postgres(connection: psycopg2.extensions.connection, folder: Path) -> tuple[Path, Path]:
    """The same of a PostgreSQL database."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for name, table in TABLES.items():
            with (folder / name).open("w") as out:
                cursor.copy_expert(f"COPY (SELECT {COLUMNS} FROM {table}) TO STDOUT", out)
    connection.close()
    return folder / "history", folder / "current"


def bare_copy(connection: psycopg2.extensions.connection, folder: Path) -> tuple[int, float]:
    """Copies every row of the tables into tables of the same shape, keys and indexes included, in
    one transaction: how many rows, and the seconds that the copying took."""
    rows, seconds = 0, 0.0
    with connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for table in TABLES.values():
            file = folder / f"{table}.copy"
            with file.open("w") as out:
                cursor.copy_expert(f"COPY {table} TO STDOUT", out)
            cursor.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
            with file.open() as text:
                began = time.monotonic()
                cursor.copy_expert(f"COPY bare_{table} FROM STDIN", text)
                seconds += time.monotonic() - began
            rows += cursor.rowcount
            file.unlink()
    connection.close()
    return rows, seconds
