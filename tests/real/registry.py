"""A real schema registry: Apicurio, by the part of its API that is Confluent's."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

from lib import WORK, Failed, Process, free_ports, wait_for

# Where tests/real/run unpacks it.
UNPACKED = WORK / "apicurio"


class Registry:
    """A registry with a database in a folder of its own, on loopback ports of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port, self.management = free_ports(2)
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """Where Confluent's API begins."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self) -> Registry:
        """Starts it, and waits until it answers."""
        jar = next(UNPACKED.glob("apicurio-registry-app-*-runner.jar"))
        settings = {
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(self.port),
            "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
            "QUARKUS_MANAGEMENT_PORT": str(self.management),
            # Its schemas survive a stop.
            "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{self.folder}/db",
        }
        command = ["java", "-Xmx400m", "-jar", str(jar)]
        log = self.folder / "registry.log"
        process = Process("registry", command, log, env={**os.environ, **settings}, cwd=str(UNPACKED))
        self.process = process

        def up() -> bool:
            if not process.is_alive():
                raise Failed(f"the schema registry ended: {process.tail()}")
            try:
                with urllib.request.urlopen(f"{self.url}/subjects", timeout=5) as answer:
                    return answer.status == 200
            except (OSError, urllib.error.HTTPError):
                return False

        wait_for("the schema registry", 90, up)
        return self

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stops it by a signal to its id."""
        if self.process is not None:
            self.process.stop(how, 60)
            self.process = None
