"""Certificates of openssl's, signed by an authority of our own."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: str
    key: str


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.pair = self._make(name, "-x509", "-addext", "basicConstraints=critical,CA:TRUE")

    def _make(self, name: str, *options: str) -> Pair:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        command = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(cert), *options]
        subprocess.run(command, check=True, capture_output=True)
        return Pair(str(cert), str(key))

    def issue(self, name: str) -> Pair:
        """Sign a certificate for 127.0.0.1."""
        issuer = ("-CA", self.pair.cert, "-CAkey", self.pair.key)
        return self._make(name, "-x509", *issuer, "-addext", "subjectAltName=IP:127.0.0.1")
