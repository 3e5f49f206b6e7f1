"""PgBouncer before the PostgreSQL server, on a loopback port of its own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psycopg2

from lib import WORK, Failed, Process, free_ports, wait_for
from postgres import PASSWORD, USER, Postgres

# Where tests/real/run unpacks Debian's packages.
UNPACKED = WORK / "pgbouncer"


class Pgbouncer:
    """A pooler of every database of a server."""

    def __init__(self, folder: Path, server: Postgres, mode: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.server, self.mode = folder, server, mode
        self.port = free_ports(1)[0]
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users"}
pool_mode = {mode}
default_pool_size = 20
max_client_conn = 500
# As on a server that many programs share: what waits for a connection is told.
query_wait_timeout = 20
server_login_retry = 1
"""
        )
        for path in (folder, folder / "users", folder / "pgbouncer.ini"):
            path.chmod(0o755)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Pgbouncer:
        """Starts it, and waits until a query goes through it."""
        program, environment = shutil.which("pgbouncer"), dict(os.environ)
        if program is None:
            # Beside its configuration, where the server's user may read.
            shutil.copytree(UNPACKED / "usr", self.folder / "usr", dirs_exist_ok=True)
            program = str(self.folder / "usr/sbin/pgbouncer")
            libraries = [str(path) for path in (self.folder / "usr/lib").iterdir()]
            environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        self.process = Process(
            "pgbouncer",
            [*self.server.prefix, program, str(self.folder / "pgbouncer.ini")],
            self.folder / "pgbouncer.log",
            env=environment,
        )
        wait_for("PgBouncer", 30, self._answers)
        return self

    def _answers(self) -> bool:
        if not self.process.is_alive():
            raise Failed(f"PgBouncer ended: {self.process.tail()}")
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stops it at once."""
        self.process.stop(signal.SIGTERM, 30)

    def connect(self, database: str) -> psycopg2.extensions.connection:
        """A connection through it."""
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database,
            connect_timeout=10,
        )  # fmt: skip
