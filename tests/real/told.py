"""What goldwire's log tells of partitions that come to an instance, with the times of its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ASSIGNED = re.compile(r'^(\S+)\s.*: assigned sink="([^"]*)" partitions=\[([\d, ]*)\]', re.MULTILINE)
RESTORED = re.compile(
    r'^(\S+)\s.*: restored from the changelog sink="([^"]*)" partition=(\d+) from=(\d+) records=(\d+) '
    r"seconds=([0-9.e-]+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Restored:
    """A partition whose state was brought up to its changelog."""

    at: float
    first: int
    records: int
    seconds: float


class Told:
    """What is added to a log from now on."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.begin = log.stat().st_size if log.exists() else 0

    def assigned(self, sink: str) -> dict[int, float]:
        """When each partition became this instance's, the first time."""
        found: dict[int, float] = {}
        for at, of, partitions in ASSIGNED.findall(self._text()):
            for partition in filter(None, partitions.split(", ")):
                if of == sink:
                    found.setdefault(int(partition), _seconds(at))
        return found

    def restored(self, sink: str) -> dict[int, Restored]:
        """Each partition that is restored, the first time."""
        found: dict[int, Restored] = {}
        for at, of, partition, first, records, seconds in RESTORED.findall(self._text()):
            if of == sink:
                one = Restored(_seconds(at), int(first), int(records), float(seconds))
                found.setdefault(int(partition), one)
        return found

    def _text(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.begin)
            return log.read().decode(errors="replace")


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
