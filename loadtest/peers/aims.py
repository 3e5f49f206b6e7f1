"""What is to be reached, as ratios of one run, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

# Measure, the aim, and whether it is the least or the most.
AIMS: dict[str, tuple[str, str, float]] = {
    "w1_cpu_streams": ("W1 CPU seconds per million events, goldwire ÷ Kafka Streams", "≤", 0.33),
    "w1_cpu_floor": ("W1 CPU seconds per million events, goldwire ÷ floor with produce", "≤", 2.5),
    "w1_memory": ("W1 peak memory, goldwire ÷ Kafka Streams", "≤", 0.15),
    "w1_rate": ("W1 throughput, goldwire ÷ best peer", "≥", 2),
    "w2_rate": ("W2 throughput at equal p99, goldwire ÷ best peer", "≥", 2),
    "w3_rate": ("W3 accepted requests/s, goldwire ÷ bare handler", "≥", 0.8),
    "w3_p99": ("W3 p99 at half of saturation, ms", "≤", 20),
    "w4_goldwire": ("W4 wall time, goldwire ÷ ideal", "≤", 1.15),
    "w4_peer": ("W4 wall time, Parallel Consumer ÷ ideal", "", 0),
    "w5_rate": ("W5 rows/s, goldwire ÷ Kafka Connect JDBC", "≥", 3),
    "w5_copy": ("W5 rows/s, goldwire ÷ bare COPY", "≥", 0.6),
    "e2e_p99": ("end to end at 5,000 events/s, p99, ms", "≤", 50),
    "e2e_p999": ("end to end at 5,000 events/s, p99.9, ms", "≤", 150),
    "growth_subjects": ("CPU for an event at 10 M subjects ÷ at 100,000", "≤", 2),
    "growth_partitions": ("CPU for an event at 16 partitions ÷ at 1", "≤", 1.2),
    "start": ("start to first delivery, 1 million entities in the ledger, s", "≤", 2),
}


@dataclass
class Aims:
    """What was measured of each, in the order of `AIMS`."""

    measured: dict[str, float] = field(default_factory=dict)

    def tell(self, key: str, value: float) -> None:
        """Notes a figure, and prints it."""
        self.measured[key] = value
        print(f"  {self._row(key)}", flush=True)

    def table(self) -> str:
        """The table of what was measured in this run."""
        head = "| measure | aim | measured | |\n|---|---|---|---|"
        return "\n".join([head, *(self._row(key) for key in AIMS if key in self.measured)])

    def _row(self, key: str) -> str:
        measure, most, aim = AIMS[key]
        value = self.measured[key]
        met = {"≤": value <= aim, "≥": value >= aim}.get(most)
        word = {True: "met", False: "**missed**", None: ""}[met]
        return f"| {measure} | {f'{most} {aim:g}' if most else ''} | {value:.3g} | {word} |"
