#!/usr/bin/env python3
"""Repeats the console blocks of a document in an empty directory, and compares what they print.

    tests/real/first_steps.py PROGRAM [DOCUMENT]

A line that begins with `$ ` is a command, the lines up to the next one are what it prints. In these,
`…` stands for any text of a line, and a line of `…` alone for any number of lines. The commands run in
one bash, without any variable but PATH and HOME. The last line is `N passed, N failed`, a number a
command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# No command of a document takes longer.
LONGEST_S = 60
END = "\x01end of a command\x01"


def steps(document: str) -> list[tuple[str, list[str]]]:
    """The commands of all console blocks, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", document, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What a command may print."""
    parts = []
    for line in lines:
        if line == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.split("…")) + r"\n")
    return re.compile("".join(parts))


class Shell:
    """A bash of its own process group, so that what it starts ends with it."""

    def __init__(self, folder: Path, program: Path) -> None:
        path = f"{program.parent}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={"PATH": path, "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """What `command` prints, to both of its outputs."""
        limit = threading.Timer(LONGEST_S, self.kill)
        limit.start()
        self.process.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '{END}\\n'\n")
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            if line.endswith(END + "\n"):
                limit.cancel()
                return printed + line.removesuffix(END + "\n")
            printed += line
        return printed + f"(the shell ended; no command may take longer than {LONGEST_S} s)\n"

    def kill(self) -> None:
        """Ends the shell and what it started."""
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass


def main() -> int:
    program = Path(sys.argv[1]).resolve()
    document = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs/first-steps.md"
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(Path(folder), program)
        try:
            for command, lines in steps(document.read_text(encoding="utf-8")):
                printed = shell.run(command)
                if pattern(lines).fullmatch(printed):
                    passed += 1
                    continue
                failed += 1
                print(f"$ {command}\n--- printed\n{printed}--- where {document.name} has")
                print("\n".join(lines))
        finally:
            shell.kill()
            shell.process.wait()
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
