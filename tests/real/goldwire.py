"""One goldwire: its configuration, its process, and what it tells of itself."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import kafka
from certs import Certificates
from generator import TENANT
from lib import Process, command, expect, free_ports, wait_for

SOURCE = "reltio"
STANDARD_SECRET = "whsec_" + "Z29sZHdpcmUtcmVhbC1zZXJ2ZXItdGVzdHMtc2VjcmV0"
RELTIO_SECRET = "reltio-webhook-secret-of-a-test"
LAG = re.compile(r"^goldwire_lag_records\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)


def kafka_source(
    broker: kafka.Kafka, topic: str, group: str, password: str = kafka.PASSWORD
) -> dict[str, Any]:
    """A source that reads a topic over SASL_SSL with SCRAM."""
    return {
        "kafka": {
            "bootstrap_servers": broker.sasl,
            "topic": topic,
            "group": group,
            "start": "earliest",
            "properties": {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": kafka.MECHANISM,
                "sasl.username": kafka.USER,
                "sasl.password": password,
                "ssl.ca.location": str(broker.ca),
                # The group gives a killed member's partitions away after this; 6 s is the least.
                "session.timeout.ms": "6000",
                "heartbeat.interval.ms": "1500",
            },
        }
    }


def cluster_source(brokers: kafka.Brokers, topic: str, group: str, protocol: str) -> dict[str, Any]:
    """A source that reads a topic of a cluster, under one of the group protocols."""
    return {
        "kafka": {
            "bootstrap_servers": brokers.plain,
            "topic": topic,
            "group": group,
            "start": "earliest",
            "group_protocol": protocol,
            "properties": membership(protocol),
        }
    }


def membership(protocol: str) -> dict[str, str]:
    """Properties of a consumer group's member that is given up after six seconds of silence."""
    if protocol == "consumer":
        # The broker says how long a session lasts, see `kafka.COMMON`.
        return {}
    return {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "1500",
    }


def webhooks() -> dict[str, Any]:
    """One endpoint for each signature scheme."""
    rate = {"per_second": 5000, "burst": 10000}
    return {
        "standard": {"webhook": {"path": "/standard", "scheme": "standard",
                                 "secrets": [STANDARD_SECRET], "rate_limit": rate}},
        "signed": {"webhook": {"path": "/reltio-webhook", "scheme": "reltio",
                               "secrets": [RELTIO_SECRET], "rate_limit": rate}},
    }  # fmt: skip


class Goldwire:
    """A goldwire with a data directory of its own. It may be killed and started again."""

    def __init__(
        self,
        folder: Path,
        app: str,
        sources: dict[str, Any],
        sinks: dict[str, Any],
        certificates: Certificates | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.app, self.sinks = folder, app, list(sinks)
        self.admin_port, self.webhook_port = free_ports(2)
        self.starts = 0
        # How long a start may take, s.
        self.patience = 60.0
        self.flags: list[str] = []
        self.process: Process | None = None
        config: dict[str, Any] = {
            "app": app,
            "tenant": TENANT,
            "data_dir": str(folder / "data"),
            "sources": sources,
            "sinks": sinks,
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            **(more or {}),
        }
        if certificates is not None:
            tls = {"cert_file": str(certificates.cert), "key_file": str(certificates.key)}
            config["webhook"] = {"address": f"127.0.0.1:{self.webhook_port}", "tls": tls}
        self.config = folder / "goldwire.yaml"
        # JSON is YAML.
        self.config.write_text(json.dumps(config, indent=2))

    @property
    def name(self) -> str:
        """Which of several it is."""
        return self.folder.name

    @property
    def log(self) -> Path:
        """What it printed, over all starts."""
        return self.folder / "goldwire.log"

    def start(self) -> None:
        """Starts it and waits until it is live."""
        binary = os.environ["GOLDWIRE_BIN"]
        self.process = Process(
            self.name, [binary, "run", "--config", str(self.config), *self.flags], self.log
        )
        self.starts += 1
        wait_for(f"goldwire's /livez (start {self.starts})", self.patience, self._up)

    def _up(self) -> bool:
        self._expect_alive()
        return self.is_live()

    def _expect_alive(self) -> None:
        if self.process is not None and not self.process.is_alive():
            expect(False, f"goldwire ended by itself: {self.process.tail()}")

    def is_live(self) -> bool:
        """Whether /livez answers 200."""
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        """A GET at the admin address: status and body."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def kill(self) -> None:
        """kill -9, by id."""
        # No one else shall take it for one that ended by itself.
        process, self.process = self.process, None
        if process is not None:
            process.stop(signal.SIGKILL)

    def signal(self, which: int) -> None:
        """Sends a signal, and does not wait."""
        if self.process is not None:
            self.process.child.send_signal(which)

    def stop(self) -> int:
        """A graceful stop; its exit code."""
        process, self.process = self.process, None
        return 0 if process is None else process.stop(signal.SIGTERM, 90)

    def lags(self) -> dict[str, float]:
        """`goldwire_lag_records` of every consumer group, summed over its partitions."""
        lags: dict[str, float] = {}
        for labels, value in LAG.findall(self.get("/metrics")[1]):
            group = re.search(r'consumergroup="([^"]*)"', labels)
            if group:
                lags[group[1]] = lags.get(group[1], 0) + float(value)
        return lags

    def lag(self, sink: str) -> float:
        """The lag of a sink; infinite as long as it does not tell one."""
        return self.lags().get(f"{self.app}.{sink}", float("inf"))

    def metric(self, name: str) -> float:
        """A metric, summed over its labels."""
        found = re.findall(rf"^{name}(?:\{{.*\}})? ([0-9.e+]+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(map(float, found))

    def wait_idle(self, group: str, seconds: float) -> None:
        """Waits until source, inbox and every sink have nothing left, twice in a row."""
        groups = [group, *(f"{self.app}.{sink}" for sink in self.sinks)]
        quiet = 0
        lags: dict[str, float] = {}

        def idle() -> bool:
            nonlocal quiet, lags
            self._expect_alive()
            lags = self.lags()
            done = all(lags.get(name, 1) == 0 for name in groups)
            done = done and lags.get(f"{self.app}.inbox", 0) == 0
            quiet = quiet + 1 if done else 0
            # The gauges are set once a second: for longer than that, nothing may be left.
            return quiet >= 8

        wait_for(lambda: f"all lags to be 0 (last seen: {lags})", seconds, idle, every=0.5)


def version() -> str:
    """What `goldwire --version` says."""
    return command(os.environ["GOLDWIRE_BIN"], "--version").strip()
