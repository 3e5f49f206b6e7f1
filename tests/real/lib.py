"""What every part of the suite uses: processes, ports, waiting, and the record of what was seen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "real"


class Failed(Exception):
    """A scenario saw something that must not be."""


def expect(truth: object, sentence: str) -> None:
    """Fails the scenario with `sentence` unless `truth` holds."""
    if not truth:
        raise Failed(sentence)


def wait_for(
    what: str | Callable[[], str], seconds: float, probe: Callable[[], T], every: float = 0.2
) -> T:
    """Calls `probe` until it answers something true; fails after `seconds` with `what` was missed."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            missed = what if isinstance(what, str) else what()
            raise Failed(f"waited {seconds:.0f} s in vain for {missed}")
        time.sleep(every)


def free_ports(count: int) -> list[int]:
    """Loopback ports that no one uses now, each a different one."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def is_open(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process that was started here, and is stopped here, by its id."""

    running: list[Process] = []

    def __init__(self, name: str, command: list[str], log: Path, **options: object) -> None:
        self.name, self.log = name, log
        # Whatever becomes of the suite, nothing outlives it.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        with log.open("ab") as sink:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, **options
            )
        Process.running.append(self)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.child.poll() is None

    def stop(self, how: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Sends a signal and waits; kills it if that is not enough."""
        if self.is_alive():
            self.child.send_signal(how)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self in Process.running:
            Process.running.remove(self)
        return self.child.returncode

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    @classmethod
    def stop_all(cls) -> None:
        """Stops whatever is left, the newest first."""
        for process in reversed(cls.running.copy()):
            process.stop(seconds=20)


def command(*words: str, env: dict[str, str] | None = None, seconds: float = 120) -> str:
    """Runs a command to its end and gives its output; fails with it."""
    done = subprocess.run(
        words,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{words[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
    return done.stdout
