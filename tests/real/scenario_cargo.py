"""goldwire's own tests that need a server: the warehouse's on PostgreSQL, the Kafka source's."""

from __future__ import annotations

import os
import re
import subprocess

from lib import ROOT, expect
from servers import Servers

RESULT = re.compile(r"test result: (\w+)\. (\d+) passed; (\d+) failed")


def warehouse(servers: Servers) -> str:
    """The tests whose names hold `postgres`."""
    url = servers.postgres.create("tests")
    return ignored_tests(servers, "postgres", {"GOLDWIRE_TEST_POSTGRES": url})


def group(servers: Servers) -> str:
    """The tests in `kafka_real`."""
    return ignored_tests(servers, "kafka_real::", {"GOLDWIRE_TEST_KAFKA": servers.kafka.plain})


def ignored_tests(servers: Servers, names: str, environment: dict[str, str]) -> str:
    """Runs the ignored tests of these names with a server; there has to be one at least."""
    log = servers.folder / f"cargo-{names.strip(':')}.log"
    words = ["cargo", "test", "--test", "it", "--", "--ignored", names]
    with log.open("wb") as out:
        code = subprocess.run(
            words, cwd=ROOT, env={**os.environ, **environment}, stdout=out,
            stderr=subprocess.STDOUT, timeout=1800, check=False,
        ).returncode  # fmt: skip
    text = log.read_text(errors="replace")
    failed = re.findall(r"^test (\S+) \.\.\. FAILED", text, re.MULTILINE)
    expect(code == 0, f"{' '.join(words)} ended with {code}: {failed or text[-600:]}")
    found = RESULT.search(text)
    expect(found, "no test result was printed")
    passed = int(found[2]) if found else 0
    expect(passed > 0, f"no test is named `{names}`")
    return f"{passed} tests passed"
