"""W2: Kafka, old versions dropped, a CRM that answers after 2 ms and takes 200 rows a call.

Entities change once or twice. An entity that was removed and is there again makes goldwire ask Reltio's API;
this workload compares the writing alone.

The load test raises the rate until the 99th percentile from the scheduled time to the row in the CRM is
above the bound: the highest rate below it is each program's throughput, at an equal p99.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aims import Aims
from goldwire import Goldwire
from lib import Process, expect, wait_for
from measure import launch, rounds
from scenario_throughput import PARTITIONS, loadtest, source
from servers import Servers
from waiting import JAVA

P99_MS, CALLS_IN_FLIGHT = 250, 8
SCENARIO = f"""
about: Rising rates until p99 is above {P99_MS} ms.
seconds: 160
rate: {{ ramp: {{ from: 1000, to: 20000, steps: 20, stop_when_missed: true }} }}
load: {{ entities: 1000000, skew: 0 }}
objectives: {{ lag_below: null, delivered_p99_ms: {P99_MS} }}
"""


@dataclass
class Crm:
    """An org for one pass, and the topic that its events come from."""

    process: Process
    folder: Path
    topic: str
    told: dict[str, Any]

    @classmethod
    def start(cls, servers: Servers, app: str) -> Crm:
        """Starts it, and waits until it says where it listens."""
        folder, topic = servers.folder / f"{app}-crm", f"{app}.events"
        folder.mkdir()
        servers.kafka.create_topic(topic, PARTITIONS)
        words = [os.environ["LOADTEST_BIN"], "crm", "--answer-after", "2", "--rows-to", str(folder / "rows"),
                 "--bootstrap", servers.kafka.plain, "--topic", topic]  # fmt: skip
        process = Process(f"{app}-crm", words, folder / "crm.log")
        line = wait_for("the CRM", 30, lambda: next(iter(process.tail().splitlines()), ""))
        return cls(process, folder, topic, json.loads(line))


def run(servers: Servers, aims: Aims) -> None:
    """Rounds of both by turns."""
    rates: dict[str, list[float]] = {"goldwire": [], "Parallel Consumer": []}
    for number in range(rounds()):
        rates["goldwire"].append(goldwire(servers, f"w2-goldwire-{number}"))
        rates["Parallel Consumer"].append(parallel(servers, f"w2-parallel-{number}"))
    ours, peer = (statistics.median(of) for of in rates.values())
    print(f"  highest rate with p99 at most {P99_MS} ms: {rates}")
    expect(peer > 0, f"Parallel Consumer never had p99 at most {P99_MS} ms")
    aims.tell("w2_rate", ours / peer)


def goldwire(servers: Servers, app: str) -> float:
    """goldwire's Salesforce sink."""
    crm = Crm.start(servers, app)
    program = Goldwire(servers.folder / app, app, source(servers, crm.topic, app), {"crm": sink(crm)},
                       more={"reltio": reltio(crm)})  # fmt: skip
    process = launch(program)
    rate = highest_rate(servers, crm, process, app)
    expect(program.stop() == 0, "goldwire did not stop well")
    crm.process.stop()
    servers.kafka.delete_topic(crm.topic)
    return rate


def reltio(crm: Crm) -> dict[str, object]:
    """The API that goldwire asks about an entity that was removed and is there again."""
    return {**crm.told["reltio"], "insecure_plain_http": True, "requests_per_second": 10_000}


def sink(crm: Crm) -> dict[str, object]:
    """As docs/load-test.md has it."""
    fields = {"FirstName": {"attribute": "FirstName"}, "Seq__c": {"attribute": "Seq"},
              "LastName": {"attribute_or": {"path": "LastName", "default": "Unknown"}}}  # fmt: skip
    individual = {"sobject": crm.told["object"], "ext_field": crm.told["external_id"], "fields": fields}
    return {"salesforce": {
        "login_url": crm.told["url"], "client_id": crm.told["client_id"],
        "client_secret": crm.told["client_secret"], "insecure_plain_http": True,
        "crosswalk_source": "SFDC_CONTACT", "guard": "version", "daily_share": 1,
        "quota": {"per_second": 10_000}, "batch": 200, "objects": {"Individual": individual},
    }}  # fmt: skip


def parallel(servers: Servers, app: str) -> float:
    """Parallel Consumer with the same calls."""
    crm = Crm.start(servers, app)
    letters = f"{app}.letters"
    servers.kafka.create_topic(letters, 1)
    words = [*JAVA, "crm", "--bootstrap", servers.kafka.plain, "--from", crm.topic, "--group", app,
             "--url", crm.told["url"], "--client-id", crm.told["client_id"],
             "--client-secret", crm.told["client_secret"], "--object", crm.told["object"],
             "--external-id", crm.told["external_id"], "--in-flight", str(CALLS_IN_FLIGHT),
             "--dead-letters", letters]  # fmt: skip
    process = Process(app, words, crm.folder / "parallel.log")
    rate = highest_rate(servers, crm, process, app)
    expect(process.stop() in (0, 143), f"Parallel Consumer did not stop well: {process.tail()}")
    expect(servers.kafka.end(letters, 1) == 0, "there are dead letters, and no event was bad")
    crm.process.stop()
    for topic in (crm.topic, letters):
        servers.kafka.delete_topic(topic)
    return rate


def highest_rate(servers: Servers, crm: Crm, process: Process, app: str) -> float:
    """What the load test finds."""
    warm_up(servers, crm, process)
    scenario, out = crm.folder / "ramp.yaml", crm.folder / "report"
    scenario.write_text(SCENARIO)
    words = [os.environ["LOADTEST_BIN"], "run", str(scenario), "--out", str(out),
             "--bootstrap", servers.kafka.plain, "--topic", crm.topic,
             "--sink-newest-files", str(crm.folder / "rows"), "--group", app,
             "--pid", f"{app}={process.child.pid}", "--pid", f"crm={crm.process.child.pid}"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    expect(process.is_alive(), f"{app} ended by itself: {process.tail()}")
    expect((out / "report.json").exists(), f"{done.stdout[-2000:]}{done.stderr[-1000:]}")
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    (account,) = report["sinks"]
    print(f"  {app}: {report['highest_rate']} events/s, then {report['steps'][-1].get('missed')}; "
          f"{ {key: account[key] for key in ('accepted', 'delivered', 'lost', 'invented', 'repeated')} }, "
          f"{[(of['name'], of['cpu_seconds'], of['peak_mib']) for of in report['processes']]}", flush=True)  # fmt: skip
    expect(account["lost"] == account["invented"] == 0, f"{account}")
    return float(report["highest_rate"] or 0)


def warm_up(servers: Servers, crm: Crm, process: Process) -> None:
    """Events of entities that the load does not have, so that no one is measured cold."""
    last, count = 5_000_000, 40_000
    loadtest("fill", "--bootstrap", servers.kafka.plain, "--topic", crm.topic, "--partitions", str(PARTITIONS),
             "--entities", str(last), "--each-once", "--events", str(last), "--skip", str(last - count))  # fmt: skip
    rows = crm.folder / "rows" / "rows.ndjson"

    def all_there() -> bool:
        expect(process.is_alive(), f"{process.name} ended by itself: {process.tail()}")
        return rows.exists() and rows.read_bytes().count(b"\n") >= count

    wait_for("the rows of the first events", 120, all_there)
