"""Starts the servers, runs the workloads one after the other, and prints the table of aims."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import aims
import crm
import end_to_end
import golden_records
import growth
import start
import waiting
import warehouse_rows
import webhooks
from goldwire import version
from lib import Failed, Process
from servers import Servers

WORKLOADS: dict[str, Callable[[Servers, aims.Aims], None]] = {
    "w1": golden_records.run,
    "w2": crm.run,
    "w3": webhooks.run,
    "w4": waiting.run,
    "w5": warehouse_rows.run,
    "end_to_end": end_to_end.run,
    "growth": growth.run,
    "start": start.run,
}


def main(names: list[str]) -> int:
    """Runs the workloads named, or all of them."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        print(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM"))
    folder = Path(tempfile.mkdtemp(prefix="goldwire-peers-"))
    # PostgreSQL's user has to pass through it.
    folder.chmod(0o755)
    told, failed = aims.Aims(), []
    try:
        print(f"{version()}, {datetime.now(UTC):%Y-%m-%d}; Kafka, PostgreSQL in {folder}", flush=True)
        servers = Servers.start(folder)
        golden_records.warm_up(servers)
        for name in names or WORKLOADS:
            print(f"== {name}", flush=True)
            began = time.monotonic()
            try:
                WORKLOADS[name](servers, told)
            except Failed as why:
                failed.append(f"{name}: {why}")
            except Exception:  # noqa: BLE001: whatever happens, the other workloads run
                failed.append(f"{name}: {traceback.format_exc()}")
            for process in Process.running.copy():
                if process not in (servers.kafka.process, servers.postgres.process):
                    process.stop()
            print(f"{name} took {time.monotonic() - began:.0f} s", flush=True)
    finally:
        Process.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{told.table()}")
    for why in failed:
        print(f"FAILED {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
