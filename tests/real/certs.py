"""A test CA and one certificate for localhost, made by openssl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib import command

KEYSTORE_PASSWORD = "keystore-of-a-test"


@dataclass(frozen=True)
class Certificates:
    """Paths of what was made."""

    ca: Path
    cert: Path
    key: Path
    keystore: Path


def make(folder: Path) -> Certificates:
    """Makes a CA, a certificate for 127.0.0.1 and localhost, and a keystore for Java."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    cert, key, request = folder / "server.pem", folder / "server.key", folder / "server.csr"
    keystore, names = folder / "server.p12", folder / "names.cnf"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    command(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=goldwire test CA", "-keyout", str(ca_key), "-out", str(ca),
    )  # fmt: skip
    command(
        "openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
        "-keyout", str(key), "-out", str(request),
    )  # fmt: skip
    command(
        "openssl", "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key),
        "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out", str(cert),
    )  # fmt: skip
    command(
        "openssl", "pkcs12", "-export", "-in", str(cert), "-inkey", str(key), "-name", "server",
        "-certfile", str(ca), "-passout", f"pass:{KEYSTORE_PASSWORD}", "-out", str(keystore),
    )  # fmt: skip
    return Certificates(ca, cert, key, keystore)
