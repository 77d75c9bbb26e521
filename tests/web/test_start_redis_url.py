"""The address of Redis is checked at the start, by the server and by every command that takes one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from fantail.broker.limits import REDIS_TIMEOUT_S
from fantail.broker.producers.writer.redis_job import connected
from fantail.broker.sources.redis.address import WrongRedisAddressError, check_address, read_address, shown_address
from fantail.broker.sources.redis.connection import RedisLink
from support.servers.certificates import PASSWORD, Certificates, make_certificates
from support.servers.fantail_process import command, environment, fantail_process, refused
from support.servers.loopback import free_port
from support.servers.redis_server import DEBIAN_REDIS, RedisServer
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG = [
    ("rediss://h?ssl_ca_certs=/nope", "ssl_ca_certs names '/nope': No such file or directory"),
    ("rediss://h?ssl_ca_certs=/tmp", "ssl_ca_certs names '/tmp': Is a directory"),
    ("rediss://h?ssl_ca_certs=/etc/passwd", "TLS options (ssl_ca_certs) cannot be used"),
    ("rediss://h?ssl_certfile=/nope", "ssl_certfile names '/nope'"),
    ("rediss://h?ssl_keyfile=/etc/passwd", "ssl_keyfile needs ssl_certfile"),
    ("rediss://h?ssl_ca_path=/nope", "ssl_ca_path does not name a directory"),
    ("rediss://h?ssl_cert_reqs=CERT_MAYBE", "ssl_cert_reqs must be none, optional or required"),
    ("rediss://h?ssl_cert_reqs=", "ssl_cert_reqs must be none, optional or required"),
    ("rediss://h?ssl_check_hostname=perhaps", "ssl_check_hostname must be true or false"),
    ("rediss://h?ssl_min_version=9", "ssl_min_version must be TLSv1_2 or TLSv1_3"),
    ("rediss://h?ssl_ciphers=hunter2", "TLS options (ssl_ciphers) cannot be used"),
    ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs needs an address that begins with rediss://"),
    ("redis://h?protocol=9", "protocol must be 2 or 3"),
    ("redis://h?protocol=hunter2", "protocol must be 2 or 3"),
    ("redis://h?db=abc", "db must be a number"),
    ("redis://h?db=-1", "db must be a number"),
    ("redis://h?db=", "db must be a number"),
    ("redis://h/abc", "an address of Redis is like"),
    ("redis://h/1/2", "an address of Redis is like"),
    ("redis://h/\u0661", "an address of Redis is like"),
    ("redis://host:99999", "an address of Redis is like"),
    ("redis://host:0", "an address of Redis is like"),
    ("redis://host:hunter2", "an address of Redis is like"),
    ("redis://[::1", "an address of Redis is like"),
    ("redis://a b", "an address of Redis is like"),
    ("redis://h\n", "an address of Redis is like"),
    ("redis://:p#hunter2@h", "an address of Redis is like"),
    ("http://h", "an address of Redis is like"),
    ("h:6379", "an address of Redis is like"),
    ("unix://", "an address of Redis is like"),
    ("unix://tmp/redis.sock", "an address of Redis is like"),
    ("unix:///nope/redis.sock", "no directory '/nope'"),
    ("unix:///etc/passwd", "'/etc/passwd' is not a socket"),
    ("unix:///etc/passwd/redis.sock", "no directory '/etc/passwd'"),
    ("redis://h?hunter2=1", "these options and no others"),
    ("redis://h?credential_provider=hunter2", "these options and no others"),
    ("redis://h?parser_class=hunter2", "these options and no others"),
]


@pytest.mark.parametrize(("url", "reason"), WRONG)
def test_a_wrong_address_is_refused_for_its_reason_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(WrongRedisAddressError) as wrong:
        check_address(url)
    assert reason in str(wrong.value)
    assert "\n" not in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    ("url", "understood"),
    [
        ("redis://h", "redis://h"),
        ("redis://:p%2Fw@h:1/3", "redis://:p%2Fw@h:1/3"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "rediss://h?ssl_cert_reqs=none"),
        ("rediss://h?ssl_cert_reqs=ssl.CERT_REQUIRED", "rediss://h?ssl_cert_reqs=required"),
        ("rediss://h?ssl_cert_reqs=None", "rediss://h?ssl_cert_reqs=none"),
        ("rediss://h?ssl_check_hostname=False", "rediss://h?ssl_check_hostname=false"),
        ("rediss://h?ssl_min_version=TLSv1.3", "rediss://h?ssl_min_version=772"),
        ("redis://h?db=2&protocol=3", "redis://h?db=2"),
        ("redis://h?decode_responses=True&socket_timeout=1&max_connections=3&family=0", "redis://h"),
        ("unix://me:pw@/tmp/a%20b?db=1", "unix://me:pw@/tmp/a%20b?db=1"),
    ],
)
def test_what_other_clients_write_is_understood_or_ignored(url: str, understood: str) -> None:
    address = check_address(url)
    assert address.url == understood
    assert read_address(understood).ignored == ()


def test_what_is_shown_has_no_password_and_no_options() -> None:
    assert shown_address("rediss://me:hunter2@h:1/2?ssl_password=hunter2") == "rediss://me:***@h:1/2"
    assert shown_address("unix:///tmp/x?db=1") == "unix:///tmp/x"


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@h?protocol=9", "rediss://:hunter2@h?ssl_ca_certs=/nope", "unix:///nope/x", "redis://h/x"]
)
@pytest.mark.parametrize("by", ["--redis-url", "FANTAIL_REDIS_URL", "REDIS_URL"])
def test_the_server_refuses_it_in_one_line(url: str, by: str) -> None:
    flags, variables = (("--redis-url", url), {}) if by == "--redis-url" else ((), {by: url})
    code, said = refused("--port", "0", *flags, settings=variables)
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("fantail: FANTAIL_REDIS_URL=(not shown)")
    assert ("(from REDIS_URL)" in said) == (by == "REDIS_URL")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "words",
    [["run", "--", "true"], ["pipe", "42"], ["publish", "run", "42", "passed"], ["watch", "42", "."]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("by", ["--redis-url", "FANTAIL_REDIS_URL", "REDIS_URL"])
def test_every_command_refuses_it_in_one_line_that_names_the_setting(words: list[str], by: str) -> None:
    url = "rediss://:hunter2@h?ssl_ca_certs=/nope"
    flags, variables = ([by, url], {}) if by == "--redis-url" else ([], {by: url})
    done = subprocess.run(
        command(words[0], *flags, *words[1:]),
        env=environment(variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"fantail: {by} is not allowed: its option ssl_ca_certs names '/nope'")
    assert "hunter2" not in done.stderr


async def test_ignored_options_and_a_missing_socket_are_told_and_the_server_starts(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/later.sock?decode_responses=true"
    with fantail_process("--redis-url", url) as server:
        await eventually(lambda: len(server.errors) > 1, what="two lines of the log")
        assert "FANTAIL_REDIS_URL has options that are ignored: decode_responses" in server.errors[0]
        assert f"FANTAIL_REDIS_URL names a socket that does not exist yet: {tmp_path}/later.sock" in server.errors[1]


# -- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_redis(certificates: Certificates) -> Iterator[str]:
    """Debian's redis-server, which has TLS; the wheel's Valkey has none. Yields its host and port."""
    if not DEBIAN_REDIS.exists():
        pytest.skip("needs Debian's redis-server: the wheel's Valkey is built without TLS")
    port = free_port()
    config = {
        "tls-port": str(port),
        "tls-cert-file": str(certificates.certificate),
        "tls-key-file": str(certificates.key),
        "tls-ca-cert-file": str(certificates.authority),
        "tls-auth-clients": "optional",
    }
    with RedisServer("debian", config=config):
        yield f"127.0.0.1:{port}"


@pytest.mark.debian_redis
@pytest.mark.parametrize(
    "options",
    [
        "ssl_cert_reqs=CERT_NONE",
        "ssl_cert_reqs=none",
        "ssl_ca_certs={authority}",
        "ssl_ca_certs={authority}&ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=True",
        "ssl_ca_certs={other_authority}&ssl_cert_reqs=CERT_NONE",
        "ssl_ca_certs={authority}&ssl_certfile={certificate}&ssl_keyfile={key}",
        "ssl_ca_certs={authority}&ssl_certfile={certificate}&ssl_keyfile={locked_key}&ssl_password=" + PASSWORD,
        "ssl_ca_certs={authority}&ssl_min_version=TLSv1.2",
    ],
)
async def test_a_server_with_tls_is_reached(tls_redis: str, certificates: Certificates, options: str) -> None:
    url = f"rediss://{tls_redis}/0?{options.format(**_files(certificates))}"
    check_address(url)
    link = RedisLink(url, name="test")
    assert await link.ask([("PING",)]) in ([b"PONG"], ["PONG"])
    await link.close()
    async with connected(url, timeout_s=REDIS_TIMEOUT_S) as client:
        assert await client.ping()


@pytest.mark.debian_redis
def test_all_programs_reach_it(tls_redis: str, certificates: Certificates) -> None:
    url = f"rediss://{tls_redis}/1?ssl_cert_reqs=CERT_NONE"
    with fantail_process("--redis-url", url):
        done = subprocess.run(
            command("run", "--id", "42", "--redis-url", f"rediss://{tls_redis}/1?ssl_ca_certs={certificates.authority}",
                    "--", "true"),
            env=environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_a_locked_key_without_its_password_is_refused_and_nobody_is_asked_for_it(certificates: Certificates) -> None:
    for password in ("", "&ssl_password=hunter2"):
        with pytest.raises(WrongRedisAddressError, match="ssl_certfile, ssl_keyfile") as wrong:
            check_address(
                f"rediss://h?ssl_certfile={certificates.certificate}&ssl_keyfile={certificates.locked_key}{password}"
            )
        assert "hunter2" not in str(wrong.value)


def _files(certificates: Certificates) -> dict[str, str]:
    return {name: str(getattr(certificates, name)) for name in certificates.__slots__}
