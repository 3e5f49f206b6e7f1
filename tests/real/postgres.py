"""One PostgreSQL server in a folder of its own, on a loopback port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path

import psycopg2

from lib import Failed, Process, command, free_ports, wait_for

USER = "goldwire"
PASSWORD = "postgres-password-of-a-test"


class Postgres:
    """A server; run as `postgres` if this is root, since PostgreSQL refuses root."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_ports(1)[0]
        self.process: Process | None = None
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not binaries:
            raise Failed("PostgreSQL's initdb is missing; install the package postgresql")
        self.bin = binaries[-1].parent
        self.prefix: list[str] = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.prefix = [shutil.which("setpriv") or "setpriv", "--reuid=postgres",
                           "--regid=postgres", "--init-groups", "--pdeathsig", "KILL"]  # fmt: skip
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command(
            *self.prefix, str(self.bin / "initdb"), "-D", str(folder / "data"), "-U", USER,
            "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C",
        )  # fmt: skip

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        data = str(self.folder / "data")
        self.process = Process(
            "postgres",
            [*self.prefix, str(self.bin / "postgres"), "-D", data, "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"],
            self.folder / "server.log",
        )  # fmt: skip
        wait_for("PostgreSQL", 60, self._answers)

    def _answers(self) -> bool:
        if self.process is not None and not self.process.is_alive():
            raise Failed(f"PostgreSQL ended: {self.process.tail()}")
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stops the server; SIGINT is its fast shutdown."""
        if self.process is not None:
            self.process.stop(signal.SIGINT, 60)
            self.process = None

    def connect(self, database: str) -> psycopg2.extensions.connection:
        """A connection to a database."""
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database,
            connect_timeout=10, options="-c statement_timeout=60000",
        )

    def create(self, database: str, options: str = "") -> str:
        """Makes an empty database, and gives its URL."""
        connection = self.connect("postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{database}" {options}')
        connection.close()
        return self.url(database)

    def drop(self, database: str) -> None:
        """Deletes a database, whoever is still connected."""
        connection = self.connect("postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
        connection.close()

    def url(self, database: str, port: int | None = None) -> str:
        """The URL of a database, through another port if one is given."""
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"
