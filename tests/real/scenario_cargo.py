"""goldwire's own tests that need a server, or root: PostgreSQL, Kafka, a full disk."""

from __future__ import annotations

import os
import re

from lib import ROOT, Failed, Process, expect, wait_for
from servers import Servers

# `cargo test --workspace` builds the same program: it is used if it is there.
BUILD = ["cargo", "test", "--workspace", "--test", "it", "--no-run"]
PROGRAM = re.compile(r"Executable tests/it/main\.rs \((.+)\)")
RESULT = re.compile(r"test result: (\w+)\. (\d+) passed; (\d+) failed")


def warehouse(servers: Servers) -> str:
    """The tests whose names hold `postgres`."""
    url = servers.postgres.create("tests")
    return ignored_tests(servers, "postgres", {"GOLDWIRE_TEST_POSTGRES": url})


def group(servers: Servers) -> str:
    """The tests in `kafka_real`."""
    return ignored_tests(servers, "kafka_real::", {"GOLDWIRE_TEST_KAFKA": servers.kafka.plain})


def disk(servers: Servers) -> str:
    """The tests in `tmpfs`, which mount one of 64 MiB."""
    expect(os.geteuid() == 0, "only root can mount a tmpfs; run the suite as root")
    return ignored_tests(servers, "tmpfs::", {})


def ignored_tests(servers: Servers, names: str, environment: dict[str, str], seconds: float = 300) -> str:
    """Runs the ignored tests of these names with a server; there has to be one at least."""
    plain = names.strip(":")
    built = to_end(servers, f"build-{plain}", BUILD, {}, 1200)
    program = PROGRAM.search(built)
    if program is None:
        raise Failed(f"`{' '.join(BUILD)}` names no program: {built[-600:]}")
    words = [str(ROOT / program[1]), "--ignored", names]
    text = to_end(servers, f"test-{plain}", words, environment, seconds)
    found = RESULT.search(text)
    passed = int(found[2]) if found else 0
    expect(passed > 0, f"no test is named `{names}`")
    return f"{passed} tests passed"


def to_end(servers: Servers, name: str, words: list[str], environment: dict[str, str], seconds: float) -> str:
    """Runs a program to its end, and gives what it printed; fails with it."""
    log = servers.folder / f"{name}.log"
    process = Process(name, words, log, cwd=ROOT, env={**os.environ, **environment})
    wait_for(f"{words[0]} to end", seconds, lambda: not process.is_alive())
    code, text = process.stop(), log.read_text(errors="replace")
    failed = re.findall(r"^test (\S+) \.\.\. FAILED", text, re.MULTILINE)
    # Where the logs are gone, as on a machine that is made again for each run, this is all there is.
    panics = re.findall(r"panicked at [^\n]*\n[^\n]*", text)
    expect(code == 0, f"{name} ended with {code}: {failed or text[-600:]} {panics}")
    return text
