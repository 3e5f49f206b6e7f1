"""The load test against systems that are there already: a goldwire between topics of Apache Kafka, and
another consumer, which knows nothing of goldwire."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from goldwire import Goldwire
from lib import Process, expect, free_ports
from scenario_throughput import PARTITIONS, source
from servers import Servers

TOPIC = "reltio.acme.loadtest"
SECONDS, RATE = 10, 1000
SECRET = "whsec_bG9hZCB0ZXN0LCBubyBzZWNyZXQgYXQgYWxs"  # noqa: S105: of this scenario alone


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    said = [of_goldwire(servers), of_another(servers)]
    return "; ".join(said)


def of_goldwire(servers: Servers) -> str:
    """Kafka and webhooks into a topic and a folder."""
    folder, app = servers.folder / "loadtest", "loadtest"
    sink = f"{app}.golden"
    for topic in (TOPIC, sink):
        servers.kafka.create_topic(topic, PARTITIONS)
    port = free_ports(1)[0]
    sources = source(servers, TOPIC, app)
    sources["hook"] = {"webhook": {"path": "/hook", "scheme": "standard", "secrets": [SECRET],
                                   "rate_limit": {"per_second": 100_000, "burst": 100_000}}}  # fmt: skip
    sinks = {"topic": {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": sink}},
             "lake": {"file": {"dir": str(folder / "lake"), "keeps_erased_records": True}}}  # fmt: skip
    webhook = {"address": f"127.0.0.1:{port}", "insecure_plain_http": True}
    program = Goldwire(folder, app, sources, sinks, more={"webhook": webhook})
    program.start()
    secret = folder / "secret"
    secret.write_text(SECRET)
    report = loadtest(folder, "--bootstrap", servers.kafka.plain, "--topic", TOPIC,
                      "--webhook", f"http://127.0.0.1:{port}/hook", "--webhook-secret", str(secret),
                      "--sink-topic", sink, "--sink-files", str(folder / "lake"),
                      "--admin", f"http://127.0.0.1:{program.admin_port}", "--group", app,
                      "--pid", f"goldwire={program.process.child.pid if program.process else 0}")  # fmt: skip
    code = program.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    expect(report["sent"]["webhook_accepted"] > 0, "no webhook was sent")
    lags = {group for second in report["timeline"] for group in second["lag"]}
    expect({app, f"{app}.topic", f"{app}.lake"} <= lags, f"lags of {lags} only")
    return f"goldwire: {told(report)}"


def of_another(servers: Servers) -> str:
    """A consumer that drops old versions and produces to two topics."""
    folder = servers.folder / "loadtest-other"
    folder.mkdir()
    topics = ["other.events", "other.a", "other.b"]
    for topic in topics:
        servers.kafka.create_topic(topic, PARTITIONS)
    events, a, b = topics
    words = ["bare", "--bootstrap", servers.kafka.plain, "--from", events, "--group", "other",
             "--to", a, "--to", b, "--events", str(SECONDS * RATE)]  # fmt: skip
    other = Process("bare", [os.environ["LOADTEST_BIN"], *words], folder / "bare.log")
    report = loadtest(folder, "--bootstrap", servers.kafka.plain, "--topic", events,
                      "--sink-topic", a, "--sink-topic", b)  # fmt: skip
    other.stop()
    return f"another consumer: {told(report)}"


def loadtest(folder: Path, *words: str) -> dict[str, Any]:
    """A short run of `steady`, judged by what became of the events; its report."""
    out = folder / "report"
    command = [os.environ["LOADTEST_BIN"], "run", "steady", "--seconds", str(SECONDS),
               "--accounting-only", "--out", str(out), *words]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    expect(done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-1000:]}")
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    expect(report["sent"]["accepted"] == SECONDS * RATE, f"{report['sent']}")
    return report


def told(report: dict[str, Any]) -> str:
    """What became of the events at each sink."""
    keys = ("delivered", "stale", "duplicate", "lost", "invented")
    sinks = [f"{of['sink'].rsplit('/', 1)[-1]} " + ", ".join(f"{of[key]} {key}" for key in keys)
             for of in report["sinks"]]  # fmt: skip
    return f"{report['sent']['accepted']} events, {'; '.join(sinks)}"
