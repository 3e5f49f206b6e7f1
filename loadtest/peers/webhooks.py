"""W3: webhooks verified and made durable, beside a bare axum handler that does the same.

It needs no broker: `cargo bench --bench webhook` has both sides and the senders.
"""

from __future__ import annotations

import re
import subprocess

from aims import Aims
from lib import ROOT, Failed
from servers import Servers

RATIO = re.compile(r"^medians: .*ratio ([0-9.]+)", re.MULTILINE)
PACED = re.compile(r"^medians: .*goldwire \[([0-9., ]+)\] \(aim: p99", re.MULTILINE)


def run(_: Servers, aims: Aims) -> None:
    """Runs the bench, and reads what it prints."""
    words = ["cargo", "bench", "--quiet", "--locked", "--bench", "webhook"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1_800, check=False)
    print("\n".join(f"  {line}" for line in done.stdout.splitlines()), flush=True)
    ratio, paced = RATIO.search(done.stdout), PACED.search(done.stdout)
    if done.returncode != 0 or ratio is None or paced is None:
        raise Failed(f"{' '.join(words)}: {done.stderr[-1000:]}")
    aims.tell("w3_rate", float(ratio[1]))
    _, _, p99, _ = (float(of) for of in paced[1].split(","))
    aims.tell("w3_p99", p99)
