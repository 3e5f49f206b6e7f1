"""Faults by a plan that a seed makes: instances of goldwire killed, frozen and restarted, brokers of a
cluster stopped and killed one at a time. What was done is kept with its times, so that whatever a sink
has too often or out of order can be matched to it."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from cluster import Cluster
from goldwire import Goldwire
from lib import Failed

KILL, ZOMBIE, ROLL = "kill -9", "zombie", "rolling restart"
# A stop in order that did not come to its end: what an instance says of it.
CUT_OFF = "stop cut off"
NOT_DRAINED = ("stopped with records in flight", "went before they were drained", "task did not end in time")
STOP, CRASH = "broker stopped", "broker killed"
# Members that are silent for so long are given up, under both protocols.
SESSION = 6.0


@dataclass(frozen=True)
class Step:
    """One fault that is to be."""

    pause: float
    kind: str
    targets: tuple[int, ...]
    lasts: float


@dataclass
class Fault:
    """One fault that was: when it began and when whatever it hit was whole again."""

    kind: str
    targets: tuple[int, ...]
    began: float
    ended: float = float("inf")

    def __str__(self) -> str:
        return f"{self.kind} of {', '.join(str(one + 1) for one in self.targets)}"


def plan(seed: int, seconds: float, instances: int, brokers: int) -> tuple[list[Step], list[Step]]:
    """Steps for the instances and for the brokers, which go on at the same time. Every kind is there
    once at least, if `seconds` are two minutes or more."""
    rng = random.Random(seed)
    of_instances: list[Step] = []
    # A session has to end before a takeover begins, so most pauses are longer than that.
    while sum(step.pause + step.lasts for step in of_instances) < seconds:
        kind = rng.choices([KILL, ZOMBIE], [3, 2])[0]
        count = 2 if kind == KILL and instances > 1 and rng.random() < 0.25 else 1
        lasts = SESSION + rng.uniform(2, 5) if kind == ZOMBIE else rng.choice([0.0, rng.uniform(1, 4), SESSION + 3])
        of_instances.append(Step(rng.uniform(3, 12), kind, tuple(rng.sample(range(instances), count)), lasts))
    first = {KILL: Step(8, KILL, (rng.randrange(instances),), SESSION + 3),
             ZOMBIE: Step(5, ZOMBIE, (rng.randrange(instances),), SESSION + 4)}  # fmt: skip
    of_instances[:2] = [first[KILL], first[ZOMBIE]]
    everybody = tuple(range(instances))
    of_instances.insert(len(of_instances) // 2, Step(4, ROLL, everybody, 0))
    of_brokers: list[Step] = []
    while sum(step.pause + step.lasts for step in of_brokers) < seconds:
        kind = [STOP, CRASH][len(of_brokers) % 2]
        # It takes half a dozen seconds to come back, and a while more to catch up.
        of_brokers.append(Step(rng.uniform(8, 20), kind, (rng.randrange(brokers),), rng.uniform(4, 14)))
    return of_instances, of_brokers


class Chaos:
    """Carries a plan out on two threads."""

    def __init__(self, instances: list[Goldwire], cluster: Cluster, seed: int, seconds: float) -> None:
        self.instances, self.cluster, self.seconds = instances, cluster, seconds
        of_instances, of_brokers = plan(seed, seconds, len(instances), len(cluster.brokers))
        self.faults: list[Fault] = []
        self.errors: list[str] = []
        self.ends = 0.0
        self.done = [threading.Event(), threading.Event()]
        self.threads = [
            threading.Thread(target=self._live, args=(steps, act, done), daemon=True)
            for steps, act, done in zip(
                (of_instances, of_brokers), (self._on_instances, self._on_broker), self.done, strict=True
            )
        ]

    def start(self) -> None:
        """Begins."""
        self.ends = time.monotonic() + self.seconds
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        """Waits for the end of the plan; fails if an instance or a broker did not come back."""
        for done in self.done:
            if not done.wait(self.seconds + 240):
                raise Failed("the plan of faults did not come to its end")
        if self.errors:
            raise Failed("; ".join(self.errors))

    def counted(self) -> dict[str, int]:
        """How many faults there were of each kind."""
        return dict(Counter(fault.kind for fault in self.faults))

    def _live(self, steps: list[Step], act: Callable[[Step], None], done: threading.Event) -> None:
        self._carry_out(steps, act)
        done.set()
        # A process ends with the thread that started it (`setpriv --pdeathsig`).
        threading.Event().wait()

    def _carry_out(self, steps: list[Step], act: Callable[[Step], None]) -> None:
        try:
            for step in steps:
                if time.monotonic() + step.pause > self.ends or self.errors:
                    return
                time.sleep(step.pause)
                self._expect_alive()
                fault = Fault(step.kind, step.targets, time.time())
                self.faults.append(fault)
                act(step)
                fault.ended = time.time()
        except Exception as why:  # noqa: BLE001: told by `join`
            self.errors.append(f"{type(why).__name__}: {why}")

    def _expect_alive(self) -> None:
        for instance in self.instances:
            # One that is down now is not meant: its process is no one's.
            if instance.process is not None and not instance.process.is_alive():
                raise Failed(f"{instance.name} ended by itself: {instance.process.tail()}")

    def _on_instances(self, step: Step) -> None:
        chosen = [self.instances[of] for of in step.targets]
        if step.kind == ROLL:
            for number, one in zip(step.targets, chosen, strict=True):
                began, before = time.time(), len(one.log.read_text())
                code = one.stop()
                if code != 0:
                    raise Failed(f"{one.name} stopped with exit code {code} in a rolling restart")
                if any(words in one.log.read_text()[before:] for words in NOT_DRAINED):
                    self.faults.append(Fault(CUT_OFF, (number,), began, time.time()))
                one.start()
            return
        if step.kind == ZOMBIE:
            for one in chosen:
                one.signal(signal.SIGSTOP)
            time.sleep(step.lasts)
            for one in chosen:
                one.signal(signal.SIGCONT)
            return
        for one in chosen:
            one.kill()
        time.sleep(step.lasts)
        for one in chosen:
            one.start()

    def _on_broker(self, step: Step) -> None:
        broker = self.cluster.brokers[step.targets[0]]
        broker.stop(signal.SIGTERM if step.kind == STOP else signal.SIGKILL)
        time.sleep(step.lasts)
        broker.start()
        # One at a time: with two that are behind nothing could be written.
        self.cluster.wait_whole(120)
