"""The commands of `docs/scale-out.md` on three brokers, and whether they print what is written there."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import first_steps
from cluster import Cluster
from generator import load
from lib import ROOT, expect
from send import TopicSender
from servers import Servers

DOCUMENT = ROOT / "docs" / "scale-out.md"
TOPIC, PARTITIONS, EVENTS = "reltio.acme.changes", 6, 5_000
BROKER = "broker:9092"

# What stands for Kafka's own tools, which take seconds to start.
TOPICS = """
from confluent_kafka.admin import AdminClient
print(*sorted(AdminClient({"bootstrap.servers": %r}).list_topics(timeout=30).topics), sep="\\n")
"""
MEMBERS = """
import sys
from confluent_kafka.admin import AdminClient
admin = AdminClient({"bootstrap.servers": %r})
(of,) = admin.describe_consumer_groups([sys.argv[1]], request_timeout=30).values()
print(sum(bool(member.assignment.topic_partitions) for member in of.result().members))
"""


def run(servers: Servers) -> str:
    """The scenario; one line of what it saw."""
    text = DOCUMENT.read_text(encoding="utf-8")
    first_steps.LONGEST_S = 150
    folder = servers.folder / "scale-out"
    cluster = Cluster(folder)
    cluster.start()
    try:
        cluster.create_topic(TOPIC, PARTITIONS)
        sender = TopicSender(cluster, TOPIC, PARTITIONS, load(17, 500, EVENTS, 0, 0).topic, 1_000)
        sender.release().start()
        home = folder / "home"
        home.mkdir()
        (config,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        (home / "goldwire.yaml").write_text(config.replace(BROKER, cluster.plain))
        return transcript(text, home, programs(folder / "bin", cluster.plain))
    finally:
        cluster.stop()


def programs(folder: Path, bootstrap: str) -> Path:
    """A directory with what the commands call: goldwire in it."""
    folder.mkdir()
    (folder / "goldwire").symlink_to(os.environ["GOLDWIRE_BIN"])
    for name, text in (("topics", TOPICS), ("members", MEMBERS)):
        script = folder / name
        script.write_text(f"#!{sys.executable}\n{text % bootstrap}")
        script.chmod(0o755)
    return folder


def transcript(text: str, home: Path, bin: Path) -> str:
    """Repeats the commands."""
    shell = first_steps.Shell(home, bin / "goldwire")
    steps = first_steps.steps(text)
    try:
        for command, lines in steps:
            printed = shell.run(command)
            fits = first_steps.pattern(lines).fullmatch(printed)
            expect(fits, f"$ {shlex.quote(command)} printed {printed[-600:]!r}, {DOCUMENT.name} has {lines}")
    finally:
        shell.kill()
        shell.process.wait()
    return f"{len(steps)} commands of {DOCUMENT.name} print what it says"
