"""Reads goldwire's event log on disk from outside: which source records are durable.

The layout is that of `src/log/journal` (format 1): per partition a folder of segments named by
their first offset; a segment is a header and frames; a frame is marker, length, crc32c, first
offset, count, time, and records with their lengths. What follows the first frame that is not whole
is being written or the torn tail of a crash: it was not acknowledged yet.
"""

from __future__ import annotations

import struct
from pathlib import Path

HEADER = 52
FRAME = struct.Struct(">8sII8sIq")
ORIGIN, PAYLOAD = 21, 100


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes, until: int = PAYLOAD) -> dict[int, int | bytes]:
    """The fields of a protobuf message up to number `until`; of repeated ones the last."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number >= until:
            break
        if wire == 0:
            found[number], at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            found[number] = data[at : at + length]
            at += length
        else:
            at += 8 if wire == 1 else 4
    return found


class Journal:
    """The event log of one data directory, read further with every call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[Path, int] = {}
        self.durable: dict[tuple[str, str, int], set[int]] = {}
        self.below: dict[tuple[str, str, int], int] = {}

    def durable_below(self, source: str, topic: str, partition: int) -> int:
        """The first offset of a source's partition that is not in the log."""
        name = (source, topic, partition)
        offsets, below = self.durable.get(name, set()), self.below.get(name, 0)
        while below in offsets:
            below += 1
        self.below[name] = below
        return below

    def look(self) -> None:
        """Reads what was added since the last look. goldwire may run meanwhile."""
        for segment in sorted(self.folder.glob("*/*.log")):
            with segment.open("rb") as file:
                file.seek(self.read.get(segment, HEADER))
                self.read[segment] = file.tell() + self._frames(file.read())

    def _frames(self, data: bytes) -> int:
        """Takes the whole frames at the beginning of `data`; how many bytes those are."""
        at = 0
        while at + FRAME.size <= len(data):
            marker, length, crc, _, count, _ = FRAME.unpack_from(data, at)
            end = at + FRAME.size + length
            if not any(marker):
                return at
            rest = data[at + 8 : at + 12] + data[at + 16 : end]
            # The checksum is slow in Python: for the frames at the end only, where one can be torn.
            if end > len(data) or (end + (1 << 17) > len(data) and crc32c(rest) != crc):
                return at
            self._records(data[at + FRAME.size : end], count)
            at = end
        return at

    def _records(self, data: bytes, count: int) -> None:
        at = 0
        for _ in range(count):
            (length,) = struct.unpack_from(">I", data, at)
            self._record(data[at + 4 : at + 4 + length])
            at += 4 + length

    def _record(self, record: bytes) -> None:
        head = fields(record, ORIGIN + 1)
        origin = fields(bytes(head.get(ORIGIN, b"")))  # type: ignore[arg-type]
        name = (
            bytes(origin.get(1, b"")).decode(),  # type: ignore[arg-type]
            bytes(origin.get(2, b"")).decode(),  # type: ignore[arg-type]
            int(origin.get(3, 0)),
        )
        self.durable.setdefault(name, set()).add(int(origin.get(4, 0)))
