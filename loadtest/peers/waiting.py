"""W4: the workload of Parallel Consumer: 10,000 records of 1,000 keys in one partition, a handler that takes
0 to 5 ms, 100 in flight, the order of each key kept.

No program is quicker than all of the handler's time by 100: that is the ideal, from the times that the
handler really took.
"""

from __future__ import annotations

import json
import statistics
import subprocess

from aims import Aims
from lib import ROOT, Failed, command
from measure import rounds
from servers import Servers

TOPIC, RECORDS = "reltio.acme.w4", 10_000
PARALLEL = ROOT / "target" / "peers" / "parallel"
JAVA = ["java", "-Xmx512m", "-XX:+UseParallelGC", "-cp", f"{PARALLEL}/classes:{PARALLEL}/libs/*", "goldwire.peers.Main"]


def run(servers: Servers, aims: Aims) -> None:
    """Rounds of both by turns."""
    servers.kafka.create_topic(TOPIC, 1)
    command(*JAVA, "fill-wait", "--bootstrap", servers.kafka.plain, "--to", TOPIC, "--records", str(RECORDS))
    ratios: dict[str, list[float]] = {"goldwire": [], "Parallel Consumer": []}
    for number in range(rounds()):
        for name, told in (("goldwire", goldwire(servers)), ("Parallel Consumer", parallel(servers, number))):
            ratios[name].append(told["ratio"])
            print(f"  {name}: {told['seconds']:.2f} s, {told['ratio']:.3f} of the ideal, "
                  f"{told['cpu_seconds']:.1f} CPU s, {told['peak_mib']:.0f} MiB", flush=True)  # fmt: skip
    servers.kafka.delete_topic(TOPIC)
    aims.tell("w4_goldwire", statistics.median(ratios["goldwire"]))
    aims.tell("w4_peer", statistics.median(ratios["Parallel Consumer"]))


def goldwire(servers: Servers) -> dict[str, float]:
    """A whole goldwire with a sink that waits."""
    words = ["cargo", "bench", "--quiet", "--locked", "--bench", "parallel", "--",
             "--bootstrap", servers.kafka.plain, "--topic", TOPIC, "--records", str(RECORDS)]  # fmt: skip
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1_500, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: {done.stdout[-500:]}{done.stderr[-1000:]}")
    return last_line(done.stdout)


def parallel(servers: Servers, number: int) -> dict[str, float]:
    """Parallel Consumer with a handler that waits, once its Java machine is warm; goldwire comes cold."""
    return last_line(command(*JAVA, "wait", "--bootstrap", servers.kafka.plain, "--from", TOPIC,
                             "--group", f"w4-{number}", "--records", str(RECORDS), "--warm-ups", "3",
                             "--longest-ms", "5", "--in-flight", "100"))  # fmt: skip


def last_line(text: str) -> dict[str, float]:
    """What the last line of JSON says."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed(f"nothing was told: {text[-500:]}")
    told: dict[str, float] = json.loads(lines[-1])
    return told
