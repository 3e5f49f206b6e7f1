"""A journal is taken over to Kafka with `goldwire log copy`, and what the log holds is delivered once
more with `goldwire replay --rewind`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from goldwire import SOURCE, Goldwire, kafka_source
from lib import expect
from scenario_throughput import Load
from servers import Servers

TOPIC, GOLDEN, APP = "reltio.acme.copied", "golden.copied", "copied"
PARTITIONS = 4
FIRST = Load(20_000, 4_000)


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    FIRST.fill(servers, TOPIC)
    servers.kafka.create_topic(GOLDEN, PARTITIONS)
    journal = made(servers, "journal", {"partitions": PARTITIONS, "keep": "1h"})
    journal.start()
    journal.wait_idle(APP, 180)
    code = journal.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    FIRST.account("topic", "--bootstrap", servers.kafka.plain, "--topic", GOLDEN)
    before = servers.kafka.end(GOLDEN, PARTITIONS)
    inside = {
        "bootstrap_servers": servers.kafka.plain,
        "partitions": PARTITIONS,
        "replication": 1,
    }
    moved = made(servers, "kafka", {"keep": "1h", "kafka": inside}, journal.folder / "data")
    said = command("log", "copy", config=moved.config)
    expect("are in Kafka" in said, said)
    moved.start()
    moved.wait_idle(APP, 180)
    again = servers.kafka.end(GOLDEN, PARTITIONS) - before
    expect(again == 0, f"{again} records were delivered again after the copy")
    code = moved.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    rewound = command(
        "replay", "--sink", "topic", "--from", "1h", "--rewind", "--yes", config=moved.config
    )
    expect("forgotten" in rewound and "Done" in rewound, rewound)
    moved.start()
    moved.wait_idle(APP, 180)
    code = moved.stop()
    expect(code == 0, f"goldwire stopped with exit code {code}")
    again = servers.kafka.end(GOLDEN, PARTITIONS) - before
    expect(again > 0, "nothing was delivered again after the rewind")
    counted = FIRST.account("topic", "--bootstrap", servers.kafka.plain, "--topic", GOLDEN)
    return f"{said.splitlines()[0]}; none delivered twice, {again} once more after a rewind: {counted}"


def made(servers: Servers, name: str, log: dict[str, Any], data: Path | None = None) -> Goldwire:
    """A goldwire whose log is this, with a data directory of its own or another's."""
    sink = {"kafka": {"bootstrap_servers": servers.kafka.plain, "topic": GOLDEN}}
    more: dict[str, Any] = {"log": log}
    if data is not None:
        more["data_dir"] = str(data)
    source = {SOURCE: kafka_source(servers.kafka, TOPIC, APP)}
    return Goldwire(servers.folder / APP / name, APP, source, {"topic": sink}, more=more)


def command(*words: str, config: Path) -> str:
    """What a goldwire command prints; it has to succeed."""
    done = subprocess.run(
        [os.environ["GOLDWIRE_BIN"], *words, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    expect(done.returncode == 0, f"{words} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout
