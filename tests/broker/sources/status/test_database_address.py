"""Addresses of databases as other programs write them: understood, ignored with a word, or refused at the start."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from fantail.broker import SourceUnavailableError
from fantail.broker.sources.status.database import StatusDatabase
from fantail.broker.sources.status.database_address import WrongDatabaseError, check_address, read_address
from support.servers.certificates import PASSWORD, Certificates, make_certificates
from support.servers.fantail_process import fantail_process, refused
from support.servers.postgres import PostgresServer, postgres_missing
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PG = "postgresql://me:hunter2@h/db"
WRONG = [
    (f"{PG}?sslmode=maybe", "sslmode must be one of disable, allow"),
    (f"{PG}?sslmode=verify-full&sslrootcert=/nope", "sslrootcert names '/nope': No such file"),
    (f"{PG}?sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert"),
    (f"{PG}?sslmode=require&sslrootcert=/etc/passwd", "TLS options (sslrootcert) cannot be used"),
    (f"{PG}?sslcert=/nope", "sslcert names '/nope'"),
    (f"{PG}?sslkey=/tmp", "sslkey names '/tmp'"),
    (f"{PG}?sslcert=/etc/passwd&sslpassword=hunter2", "TLS options (sslcert, sslpassword) cannot be used"),
    (f"{PG}?sslcrl=/nope", "sslcrl names '/nope'"),
    (f"{PG}?passfile=/nope", "passfile names '/nope'"),
    (f"{PG}?target_session_attrs=first", "target_session_attrs must be one of any"),
    (f"{PG}?connect_timeout=soon", "connect_timeout must be a number"),
    ("postgresql://a,b/db?port=1,2,3", "one for each host"),
    (f"{PG}?port=99999", "a port is a number from 1 to 65535"),
    ("postgresql:///db?host=/nope", "its host '/nope' is not a directory"),
    (f"{PG}?replication=database", "replication is not understood"),
    (f"{PG}?sslidentity=a.p12", "sslidentity is not understood"),
    (f"{PG}?sslaccept=strict", "sslaccept is not understood"),
    (f"{PG}?hun%20ter2=1", "(not shown) is not understood"),
    ("postgresql://h:99999/db", "is like postgresql://"),
    ("postgresql://h:0/db", "is like postgresql://"),
    ("postgresql://a:1,b:x/db", "is like postgresql://"),
    ("postgresql://a,,b/db", "is like postgresql://"),
    ("postgresql://[::1/db", "is like postgresql://"),
    ("postgresql://a b/db", "is like postgresql://"),
    ("postgresql:/h/db", "is like postgresql://"),
    ("jdbc:postgresql://h/db", "is like postgresql://"),
    ("file:./dev.db", "is like postgresql://"),
    ("prisma://h/?api_key=hunter2", "prisma cannot be read here"),
    ("sqlite://nope.db", "three slashes"),
    ("sqlite:////nope/x.db", "No such file or directory"),
    ("sqlite:////tmp", "Is a directory"),
    ("sqlite:////etc/passwd", "is not an SQLite database"),
]


@pytest.mark.parametrize(("url", "reason"), WRONG)
def test_a_wrong_address_is_refused_for_its_reason_without_repeating_it(
    url: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(WrongDatabaseError) as wrong:
        check_address(url)
    assert reason in str(wrong.value)
    assert "\n" not in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    "url", [f"{PG}?sslmode=maybe", f"{PG}?replication=true", f"{PG}?sslcert=/nope", "sqlite:////x"]
)
def test_the_server_refuses_it_in_one_line_before_its_valkey_is_started(url: str, tmp_path: Path) -> None:
    code, said = refused("--port", "0", "--data-dir", str(tmp_path / "d"), settings={"FANTAIL_DATABASE_URL": url})
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("fantail: FANTAIL_DATABASE_URL is not allowed: ")
    assert "hunter2" not in said
    assert not (tmp_path / "d").exists()


async def test_ignored_options_are_told_and_the_server_starts(redis_url: str) -> None:
    settings = {"FANTAIL_DATABASE_URL": f"{PG}?pgbouncer=true&connection_limit=1&channel_binding=require"}
    with fantail_process("--redis-url", redis_url, settings=settings) as server:
        await eventually(lambda: server.errors, what="a line of the log")
        expected = "FANTAIL_DATABASE_URL has options that are ignored: channel_binding, connection_limit, pgbouncer"
        assert expected in server.errors[0]


def test_sqlite_takes_any_options_and_no_effect_of_them(tmp_path: Path) -> None:
    (tmp_path / "a b.db").touch()
    assert check_address(f"sqlite:///{tmp_path}/a b.db?connection_limit=1").ignored == ("connection_limit",)


def test_authorities_of_the_system_verify_the_host() -> None:
    arguments = read_address(f"{PG}?sslmode=require&sslrootcert=system").arguments
    assert arguments["ssl"].check_hostname
    assert "ssl" not in arguments["dsn"]


# -- a real server --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_postgres(certificates: Certificates) -> Iterator[PostgresServer]:
    """A server with TLS, a schema `my Schema` with a table of runs, and a user with a password of signs."""
    missing = postgres_missing()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer(certificates) as server:
        server.execute(
            'CREATE SCHEMA "my Schema"',
            'CREATE TABLE "my Schema".runs (id text, status text, job_id text)',
            """INSERT INTO "my Schema".runs VALUES ('r1', 'running', 'j1')""",
        )
        yield server


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[StatusDatabase]:
    check_address(url)
    database = StatusDatabase(url)
    try:
        yield database
    finally:
        await database.close()


SCHEMA = "schema=my%20Schema"
CLIENT = f"sslcert={{certificate}}&sslkey={{locked_key}}&sslpassword={PASSWORD}"


@pytest.mark.parametrize(
    "options",
    [
        SCHEMA,
        f"{SCHEMA}&pgbouncer=true&connection_limit=5&pool_timeout=10&statement_cache_size=0",
        f"{SCHEMA}&sslmode=require&channel_binding=prefer",
        f"{SCHEMA}&sslmode=disable",
        f"{SCHEMA}&ssl=true",
        f"{SCHEMA}&sslaccept=accept_invalid_certs",
        f"{SCHEMA}&sslmode=verify-full&sslrootcert={{authority}}",
        f"{SCHEMA}&sslmode=verify-ca&sslrootcert={{authority}}&{CLIENT}",
        f"{SCHEMA}&connect_timeout=3&target_session_attrs=read-write&keepalives=1",
        "search_path=%22my%20Schema%22",
        "options=-c%20search_path%3D%22my%5C%20Schema%22%20-c%20statement_timeout%3D5s",
        "options=-csearch_path%3D%22my%5C%20Schema%22&application_name=mine",
    ],
)
async def test_what_other_programs_write_is_understood(
    tls_postgres: PostgresServer, certificates: Certificates, options: str
) -> None:
    files = {name: quote(str(getattr(certificates, name))) for name in certificates.__slots__}
    async with opened(f"{tls_postgres.url}?{options.format(**files)}") as database:
        (running,) = await database.running_jobs()
        assert (running.run_id, running.job_id) == ("r1", "j1")


async def test_encryption_is_what_was_asked_for(tls_postgres: PostgresServer, certificates: Certificates) -> None:
    for options, encrypted in (("sslmode=require", True), ("sslmode=disable", False)):
        async with opened(f"{tls_postgres.url}?{options}&application_name=mine") as database:
            await database.running_jobs()
            assert tls_postgres.encrypted("mine") == [encrypted], options
        await eventually(lambda: not tls_postgres.encrypted("mine"))
    async with opened(f"{tls_postgres.url}?sslmode=verify-full&sslrootcert={certificates.other_authority}") as database:
        with pytest.raises(SourceUnavailableError):
            await database.running_jobs()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"])
async def test_hosts_sockets_and_passwords_of_all_forms(tls_postgres: PostgresServer, scheme: str) -> None:
    port, directory = tls_postgres.port, tls_postgres.directory
    user, password = "postgres", quote("p@ss/w:rd#?%", safe="")
    for address in (
        f"{user}:{password}@127.0.0.1:{port}/fantail",
        f"{user}:p/w#d?%zz@127.0.0.1:{port}/fantail",
        f"{user}@127.0.0.1:{port}/fan%74ail",
        f"{user}@127.0.0.1:1,127.0.0.1:{port}/fantail",
        f"{user}@/fantail?host=127.0.0.1:1&host=127.0.0.1:{port}",
        f"{user}@/fantail?host={quote(str(directory))}&port={port}",
        f"{user}@{quote(str(directory), safe='')}:{port}/fantail",
        f"/fantail?host=127.0.0.1&port={port}&user={user}&password=x",
    ):
        async with opened(f"{scheme}://{address}") as database:
            assert await database.running_jobs() == [], address


async def test_options_that_the_server_refuses_are_no_answer(tls_postgres: PostgresServer) -> None:
    async with opened(f"{tls_postgres.url}?options=-c%20nonsense%3D1") as database:
        with pytest.raises(SourceUnavailableError):
            await database.running_jobs()
