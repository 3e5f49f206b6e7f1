"""Starts the servers, runs the scenarios, stops what was started, and counts."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import goldwire
import scenario_cargo
import scenario_copy
import scenario_chaos
import scenario_databricks
import scenario_duckdb
import scenario_inbox
import scenario_isolation
import scenario_kafka_sink
import scenario_lake
import scenario_loadtest
import scenario_lost_marker
import scenario_main
import scenario_markers
import scenario_members
import scenario_parts
import scenario_password
import scenario_pooler
import scenario_registry
import scenario_scale_out
import scenario_security
import scenario_takeover
import scenario_throughput
from lib import WORK, Failed, Process
from servers import Servers

SCENARIOS: dict[str, Callable[[Servers], str]] = {
    "group": scenario_cargo.group,
    "warehouse": scenario_cargo.warehouse,
    "disk": scenario_cargo.disk,
    "markers": scenario_markers.run,
    "parts": scenario_parts.run,
    "members": scenario_members.run,
    "password": scenario_password.run,
    "security": scenario_security.run,
    "pooler": scenario_pooler.run,
    "main": scenario_main.run,
    "inbox": scenario_inbox.run,
    "lost_marker": scenario_lost_marker.run,
    "isolation": scenario_isolation.run,
    "kafka_sink": scenario_kafka_sink.run,
    "copy": scenario_copy.run,
    "registry": scenario_registry.run,
    "duckdb": scenario_duckdb.run,
    "lake": scenario_lake.run,
    "databricks": scenario_databricks.run,
    "chaos": scenario_chaos.short,
    "throughput": scenario_throughput.short,
    "loadtest": scenario_loadtest.run,
}
# What runs only when it is named: it takes long.
ONLY_NAMED: dict[str, Callable[[Servers], str]] = {
    "scale_out": scenario_scale_out.run,
    "cluster": scenario_chaos.embedded,
    "chaos_classic": scenario_chaos.classic,
    "chaos_consumer": scenario_chaos.consumer,
    "restore": scenario_takeover.restore,
    "takeover": scenario_takeover.takeover,
}
# What a scenario does instead when it is named.
NAMED = {"throughput": scenario_throughput.long}


def attempt(name: str, scenario: Callable[[Servers], str], servers: Servers) -> bool:
    """Runs a scenario and prints its one line."""
    began = time.monotonic()
    others = list(Process.running)
    try:
        line, passed = scenario(servers), True
    except Failed as failed:
        line, passed = str(failed), False
    except Exception:  # noqa: BLE001: whatever happens, the other scenarios run
        line, passed = traceback.format_exc(), False
    for process in [one for one in Process.running if one not in others]:
        # The broker may have been restarted by the scenario.
        if process is not servers.kafka.process:
            process.stop()
    word = "ok" if passed else "FAILED"
    print(f"{name}: {word} in {time.monotonic() - began:.0f} s: {line}", flush=True)
    if not passed:
        keep_logs(name, servers.folder)
    return passed


def keep_logs(name: str, folder: Path) -> None:
    """Keeps the logs of a run that failed, the newest only."""
    kept = WORK / "failed" / name
    shutil.rmtree(kept, ignore_errors=True)
    for log in [*folder.rglob("*.log"), *folder.rglob("*.jsonl")]:
        if "data" not in log.relative_to(folder).parts:
            copy = kept / log.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, copy)
    print(f"{name}: logs are in {kept}", flush=True)


def main(names: list[str]) -> int:
    """Runs the scenarios named, or all of them."""
    known = SCENARIOS | ONLY_NAMED
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such scenario: {', '.join(unknown)}; there are {', '.join(known)}")
        print("0 passed, 1 failed")
        return 1
    chosen = {name: NAMED.get(name, known[name]) for name in names} or SCENARIOS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM"))
    folder = Path(tempfile.mkdtemp(prefix="goldwire-real-"))
    # PostgreSQL's user has to pass through it.
    folder.chmod(0o755)
    passed = failed = 0
    try:
        print(f"{goldwire.version()}; Kafka, PostgreSQL in {folder}", flush=True)
        servers = Servers.start(folder)
        for name, scenario in chosen.items():
            if attempt(name, scenario, servers):
                passed += 1
            else:
                failed += 1
    except (Failed, KeyboardInterrupt, SystemExit) as stop:
        print(f"stopped: {stop}", flush=True)
        failed = len(chosen) - passed
    except Exception:  # noqa: BLE001: the last line counts, whatever happened
        traceback.print_exc()
        failed = len(chosen) - passed
    finally:
        Process.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
