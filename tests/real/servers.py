"""The servers that all scenarios share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import certs
from certs import Certificates
from kafka import Kafka
from postgres import Postgres


@dataclass
class Servers:
    """A broker, a database server, and the certificates of both sides, in a temporary folder."""

    folder: Path
    certificates: Certificates
    kafka: Kafka
    postgres: Postgres

    @classmethod
    def start(cls, folder: Path) -> Servers:
        """Starts them."""
        certificates = certs.make(folder / "certs")
        broker = Kafka(folder / "kafka", certificates)
        broker.start()
        database = Postgres(folder / "postgres")
        database.start()
        return cls(folder, certificates, broker, database)
