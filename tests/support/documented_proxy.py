"""The proxies of docs/OPERATIONS.md, run as they are printed there, on loopback.

A configuration is taken out of the page's fenced blocks. Replaced are ports, paths and the host name, and each of them
must occur, so that the page cannot drift away from what is tested. What a block cannot hold (where to keep temporary
files, that nothing else is started) is written around it.

Programs that are missing are fetched with `apt-get download` and unpacked beside the test's files: nothing is
installed, and no service is started. Where that is not possible, tests are skipped with the reason.

As a program, for the browser tests: `python -m support.documented_proxy NAME PORT` prints one line of JSON when the
proxy accepts connections, and runs until its standard input ends.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.servers.loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

Program = Literal["nginx", "caddy"]

PAGE = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"
START_S = 20.0
UPSTREAM = "127.0.0.1:8765"
SNIPPET = "snippets/fantail.conf"
USER, PASSWORD = "ada", "a-password-of-the-test"
# What `caddy hash-password` made of it.
PASSWORD_HASH = "$2a$14$08NPOF1qrTjUtarQkb.cSeOazvqTiUuLfqzIi0i4Bo04QNAIdC39i"


@dataclass(frozen=True, slots=True)
class Documented:
    """One configuration of the page.

    Attributes:
        program: that reads it.
        tls: whether browsers reach it over TLS.
        signs_in: whether it asks users for a password, and names them to the server.
    """

    program: Program
    tls: bool
    signs_in: bool = False

    @property
    def listens(self) -> str:
        """The port in the page."""
        return "8443" if self.tls else "8080"


PROXIES = {
    "nginx": Documented("nginx", tls=False),
    "nginx-tls": Documented("nginx", tls=True),
    "nginx-users": Documented("nginx", tls=True, signs_in=True),
    "caddy": Documented("caddy", tls=False),
    "caddy-tls": Documented("caddy", tls=True),
    "caddy-users": Documented("caddy", tls=True, signs_in=True),
}


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """A proxy that accepts connections.

    Attributes:
        url: of the proxy, without a slash at its end.
        ca: PEM file of the authority that signed its certificate.
    """

    url: str
    ca: str


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page in one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def printed(name: str) -> str:
    """The block of the page that is the configuration of this name."""
    wanted = PROXIES[name]
    language = "nginx" if wanted.program == "nginx" else "caddyfile"
    found = [
        block
        for block in blocks(language)
        if wanted.listens in block and ("X-Forwarded-User" in block) is wanted.signs_in
    ]
    assert len(found) == 1, f"{PAGE.name} has {len(found)} blocks for {name}"
    return found[0]


def snippet() -> str:
    """The block of the page that all servers of nginx include."""
    (found,) = (block for block in blocks("nginx") if "server" not in block.replace("proxy_pass", ""))
    return found


@cache
def program_path(name: Program) -> str | None:
    """The program, from PATH or fetched; None: it is not there and cannot be fetched."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return found or _fetched(name)


def _fetched(name: Program) -> str | None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    folder = Path(tempfile.gettempdir()) / f"fantail-test-{name}-{os.getuid()}"
    binary = folder / ("usr/sbin/nginx" if name == "nginx" else "usr/bin/caddy")
    if not binary.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", name], cwd=folder, capture_output=True, check=False)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], capture_output=True, check=False)
    works = binary.exists() and subprocess.run([binary, "version"], capture_output=True, check=False).returncode != 127
    return str(binary) if works else None


@contextmanager
def documented_proxy(name: str, upstream_port: int) -> Iterator[RunningProxy]:
    """Runs one of `PROXIES` before a server on loopback while the context lasts.

    Raises:
        AssertionError: the configuration is refused, or the proxy does not listen in time; the message has its words.
    """
    wanted = PROXIES[name]
    program = program_path(wanted.program)
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="fantail-proxy-"))
    port = free_port()
    try:
        make_certificates(folder)
        command = (_nginx if wanted.program == "nginx" else _caddy)(name, folder, port, upstream_port)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            )
        try:
            _wait_until_it_listens(process, port, folder / "log")
            yield RunningProxy(f"{'https' if wanted.tls else 'http'}://localhost:{port}", str(folder / "ca.pem"))
        finally:
            process.terminate()
            process.wait(START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nginx(name: str, folder: Path, port: int, upstream_port: int) -> list[str]:
    wanted = PROXIES[name]
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "snippet.conf").write_text(snippet())
    changes = {
        f"listen {wanted.listens}": f"listen 127.0.0.1:{port}",
        "server_name fantail.example": "server_name localhost",
        f"server {UPSTREAM}": f"server 127.0.0.1:{upstream_port}",
        SNIPPET: str(folder / "snippet.conf"),
        **_certificate_paths(wanted, folder),
        **({"/etc/nginx/fantail.htpasswd": str(folder / "users")} if wanted.signs_in else {}),
    }
    kept = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n"
        f"{'user root;' if os.getuid() == 0 else ''}\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{kept}{_changed(printed(name), changes)}\n}}\n"
    )
    return ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _caddy(name: str, folder: Path, port: int, upstream_port: int) -> list[str]:
    wanted = PROXIES[name]
    (folder / "users").write_text(f"{USER} {PASSWORD_HASH}\n")
    changes = {
        f"fantail.example:{wanted.listens}": f"localhost:{port}",
        UPSTREAM: f"127.0.0.1:{upstream_port}",
        **_certificate_paths(wanted, folder),
        **({"/etc/caddy/fantail-users": str(folder / "users")} if wanted.signs_in else {}),
    }
    around = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n}\n"
    (folder / "Caddyfile").write_text(around + _changed(printed(name), changes))
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _certificate_paths(wanted: Documented, folder: Path) -> dict[str, str]:
    if not wanted.tls:
        return {}
    return {
        "/etc/ssl/fantail.example.pem": str(folder / "server.pem"),
        "/etc/ssl/fantail.example.key": str(folder / "server.key"),
    }


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the page does not say {old!r}"
        text = text.replace(old, new)
    return text


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return


def make_certificates(folder: Path) -> None:
    """Writes an authority (`ca.pem`) and a certificate for localhost that it signed (`server.pem`, `server.key`)."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, (x509.BasicConstraints(ca=True, path_length=0), True))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("fantail.example")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server = _certificate(name, ca_name, key, ca_key, (names, False), (usage, False))
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.key").write_bytes(pem)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        made = made.add_extension(extension, critical=critical)
    return made.sign(signer, hashes.SHA256())


def main(name: str, upstream_port: str) -> None:
    """Runs a proxy until standard input ends, as the browser tests ask for it."""
    if program_path(PROXIES[name].program) is None:
        print(json.dumps(None), flush=True)  # noqa: T201 - its answer
        return
    with documented_proxy(name, int(upstream_port)) as proxy:
        print(json.dumps(asdict(proxy)), flush=True)  # noqa: T201 - its answer
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
