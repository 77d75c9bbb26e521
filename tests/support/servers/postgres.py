"""A private PostgreSQL for tests: Debian's programs, a cluster of its own in a temporary directory, loopback only.

It needs the package `postgresql` (apt-get install postgresql) and, as PostgreSQL refuses to run as root, either root
and a user `postgres` to become, or an ordinary user. Where that is not given `postgres_missing()` says why.

Invariants: the port stays the same over `kill9` and `start`; only the process that was started here is signalled;
`close` removes everything. Durability is off, as a test has nothing to lose (a killed process loses nothing by it).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.servers.loopback import free_port

if TYPE_CHECKING:
    from typing import Self

    from support.servers.certificates import Certificates

PROGRAMS: Final = Path("/usr/lib/postgresql")
USER: Final = "postgres"
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0


def programs() -> Path | None:
    """The directory of the newest version that is installed."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def postgres_missing() -> str | None:
    """Why there can be no PostgreSQL here; None: there can."""
    if programs() is None:
        return "Debian's package postgresql is not installed; SQLite alone is tested"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"PostgreSQL refuses to run as root and there is no user {USER}; SQLite alone is tested"
    return None


class PostgresServer:
    """One server with an empty database `fantail`. Construct it, `start()`, and `close()` it."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        """Makes a cluster; with certificates it offers TLS."""
        found = programs()
        assert found is not None, "ask postgres_missing() first"
        self._programs = found
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._data = self.directory / "data"
        self._log = self.directory / "postgres.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            shutil.chown(self.directory, USER, USER)
        self._tls = {} if certificates is None else self._tls_settings(certificates)
        self._call(
            "initdb", "--pgdata", str(self._data), "--username", USER, "--auth", "trust", "--no-sync", "-E", "UTF8"
        )

    @property
    def url(self) -> str:
        """Its address, as an operator would write it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/fantail"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Starts on whatever data there are, and waits until it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        self._process = self._spawned()
        while not self._ready():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log[-2000:]}")
            time.sleep(0.02)
            if self._process.poll() is not None:  # children of a killed one may still hold its memory
                self._process = self._spawned()
        found = self._call("psql", "-d", "template1", "-Atc", "SELECT 1 FROM pg_database WHERE datname = 'fantail'")
        if not found:
            self._call("createdb", "fantail")

    def _spawned(self) -> subprocess.Popen[bytes]:
        settings: dict[str, object] = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 40,
            "shared_buffers": "16MB",
            **self._tls,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*_as_user(), str(self._programs / "postgres"), "-D", str(self._data), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )

    def execute(self, *statements: str) -> None:
        """Carries out statements in the database."""
        self._call("psql", "-d", "fantail", "-v", "ON_ERROR_STOP=1", "-q", *(w for s in statements for w in ("-c", s)))

    def connections(self) -> int:
        """How many connections of ours it has."""
        question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fantail'"
        return int(self._call("psql", "-d", "fantail", "-At", "-c", question))

    def encrypted(self, application: str) -> list[bool]:
        """For each connection of an application, whether it is encrypted."""
        question = "SELECT application_name, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        rows = [row.split("|") for row in self._call("psql", "-d", "fantail", "-At", "-c", question).splitlines()]
        return [encrypted == "t" for name, encrypted in rows if name == application]

    def kill9(self) -> None:
        """Kills the postmaster; its children find that out and end."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def close(self) -> None:
        """Ends it and removes all."""
        self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tls_settings(self, certificates: Certificates) -> dict[str, object]:
        key = self.directory / "server.key"
        key.write_bytes(certificates.key.read_bytes())
        key.chmod(0o600)
        certificate = self.directory / "server.crt"
        certificate.write_bytes(certificates.certificate.read_bytes())
        if os.getuid() == 0:
            shutil.chown(key, USER, USER)
            shutil.chown(certificate, USER, USER)
        return {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}

    def _ready(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _call(self, program: str, *words: str) -> str:
        environment = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C",
        }
        done = subprocess.run(
            [*_as_user(), str(self._programs / program), *words],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=environment,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout


def _as_user() -> list[str]:
    """A prefix that gives up root, and has Linux kill the server if the test run is itself killed with -9."""
    setpriv = ["setpriv"]
    if os.getuid() == 0:
        found = pwd.getpwnam(USER)
        setpriv += [f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups"]
    return [*setpriv, "--pdeathsig", "KILL", "--"]
