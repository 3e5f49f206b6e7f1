"""What a process has cost so far, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lib import Failed, Process


@dataclass(frozen=True)
class Usage:
    """CPU seconds, user and system together, and the peak of resident memory."""

    cpu: float
    peak_mib: float

    @classmethod
    def of(cls, process: Process | None) -> Usage:
        """Reads `/proc`; the process has to be running."""
        if process is None or not process.is_alive():
            raise Failed("the process that is measured has ended")
        proc = Path("/proc") / str(process.child.pid)
        # The name in brackets may hold blanks; utime and stime are the 12th and 13th field after it.
        fields = (proc / "stat").read_text().rpartition(") ")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        status = (proc / "status").read_text().splitlines()
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
        return cls(ticks / os.sysconf("SC_CLK_TCK"), int(peak) / 1024)
