"""Latency of goldwire at 5,000 events/s: from the scheduled time in Kafka to where a sink acknowledged it.

The load test sends on a fixed schedule and sees each event when the target topic has it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from aims import Aims
from goldwire import Goldwire
from lib import expect
from scenario_throughput import PARTITIONS, loadtest, source
from servers import Servers

RATE, SECONDS = 5_000, 40
TOPICS = ("e2e.events", "e2e.golden")
SCENARIO = f"""
about: A steady rate of {RATE}/s over Kafka.
seconds: {SECONDS}
rate: {{ steady: {{ per_second: {RATE} }} }}
"""


def run(servers: Servers, aims: Aims) -> None:
    """One run; percentiles of its deliveries."""
    folder, app = servers.folder / "e2e", "e2e"
    for topic in TOPICS:
        servers.kafka.create_topic(topic, PARTITIONS)
    sinks = {"golden": {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": TOPICS[1]}}}
    program = Goldwire(folder, app, source(servers, TOPICS[0], app), sinks)
    program.start()
    warm_up(servers, program)
    scenario, out = folder / "rate.yaml", folder / "report"
    scenario.write_text(SCENARIO)
    words = [os.environ["LOADTEST_BIN"], "run", str(scenario), "--accounting-only", "--out", str(out),
             "--bootstrap", servers.kafka.plain, "--topic", TOPICS[0], "--sink-topic", TOPICS[1],
             "--admin", f"http://127.0.0.1:{program.admin_port}", "--group", app,
             "--pid", f"goldwire={program.process.child.pid if program.process else 0}"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    print("\n".join(f"  {line}" for line in done.stdout.splitlines()))
    expect(done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-1000:]}")
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    latency = {of["name"]: of["latency"] for of in report["stages"]}[f"delivered to {TOPICS[1]}"]
    aims.tell("e2e_p99", latency["p99"])
    aims.tell("e2e_p999", latency["p999"])
    expect(program.stop() == 0, "goldwire did not stop well")


def warm_up(servers: Servers, program: Goldwire) -> None:
    """Some events of entities that the load does not have: the run is about a system that runs."""
    last = 5_000_000
    loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", TOPICS[0], "--partitions", str(PARTITIONS),
             "--entities", str(last), "--each-once", "--events", str(last), "--skip", str(last - 20_000))  # fmt: skip
    program.wait_idle(program.app, 60)
