"""Every setting with wrong values: refused at the start in one line that names it, with nothing left behind.

A setting without a row here fails the test: whoever adds one says which values of it are wrong.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

import pytest

from fantail.web.auth.identity import check_token_key
from fantail.web.settings import Settings, WrongSettingError, load_settings
from fantail.web.status_sources import check_database
from support.servers.fantail_process import refused

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = "a secret of more than thirty-two bytes"
_SECONDS: Final = ("0", "-1", "nan", "inf", "1e300", "soon", "604801")
_COUNT: Final = ("0", "-1", "1.5", "nan", "many", "99999999999999999999")
_BYTES: Final = ("0", "-1", "64k", "nan", str(2**41))
_CHOICE: Final = ("maybe", "NONE ")
_FLAG: Final = ("maybe", "2")

WRONG: Final[dict[str, tuple[str, ...]]] = {
    "host": ("0.0.0.0", "http://127.0.0.1", "127.0.0.1/8", "a b", "192.0.2.1"),
    "port": ("-1", "65536", "http", "1.5", "nan"),
    "fd": ("-1", "stdin", "1.5"),
    "backlog": _COUNT,
    "public_url": ("example.org", "ftp://example.org", "https://", "https://h:99999", "https://[::1", "https://a b"),
    "redis_url": (
        "http://h",
        "redis://h:99999",
        "redis://h/x",
        "redis://h?protocol=9",
        "rediss://h?ssl_ca_certs=/nope",
    ),
    "data_dir": (),  # see `test_a_data_directory_that_cannot_be…` and tests/broker/embedded/test_private_files.py
    "tables": ("jobs", "jobs=job:", "jobs=job:*,jobs=x:*", "a b=x:*"),
    "table_rows": ("0", "-1", "1000001", "nan", "all"),
    "pipeline_url": ("h", "ftp://h", "http://", "http://h:0", "http://h?a=b"),
    "database_url": ("h", "mysql://h/d", "postgresql://h:0/d", "postgresql://h/d?sslmode=x", "sqlite:////nope/x.db"),
    "pipeline_health_path": ("health/{id}", "/health", "/a b/{id}"),
    "pipeline_timeout_s": _SECONDS,
    "pipeline_poll_s": _SECONDS,
    "database_names": ("runs", "=x", "runs="),
    "status_check_s": _SECONDS,
    "status_ttl_s": _SECONDS,
    "running_capacity": _COUNT,
    "queued_capacity": _COUNT,
    "auth": (*_CHOICE, "jwt", "proxy"),
    "jwt_secret": ("short",),
    "jwt_algorithm": (*_CHOICE, "RS256"),
    "proxy_header": ("X Y", "X:Y", "1", "X\u00e4"),
    "proxy_addresses": ("nowhere", "10.0.0.0/33", "::1/200"),
    "proxy_admins": (),  # any name is a user's
    "metrics": _CHOICE,
    "cors_origins": ("*", "https://a/", "a.example", "https://a:99999", "https://me@a"),
    "allowed_hosts": ("http://a", "a/b", "a b", "a:99999", "*"),
    "keepalive_s": _SECONDS,
    "max_stream_s": _SECONDS,
    "write_timeout_s": _SECONDS,
    "drain_s": ("-1", "61", "nan", "inf", "soon"),
    "store_bytes": (*_BYTES, str(2**39)),
    "total_bytes": (*_BYTES, "65536"),
    "line_bytes": ("0", "-1", "1023", "67108865", "nan", "1M"),
    "linger_s": _SECONDS,
    "streams": _COUNT,
    "streams_per_user": _COUNT,
    "streams_per_address": _COUNT,
    "streams_per_s": ("0", "-1", "nan", "inf", "1e7", "fast"),
    "streams_burst": _COUNT,
    "ingest_bytes_per_s": _BYTES,
    "body_bytes": _BYTES,
    "log_level": _CHOICE,
    "log_format": _CHOICE,
    "access_log": _FLAG,
    "use_sse_status": _FLAG,
    "mask_secrets": _FLAG,
}
# Settings without which a value cannot be seen to be wrong.
BESIDE: Final = {"jwt_algorithm": {"auth": "jwt", "jwt_secret": SECRET}}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FANTAIL_") or name == "REDIS_URL":
            monkeypatch.delenv(name)


def test_every_setting_has_its_row() -> None:
    assert set(WRONG) == set(Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_line_that_names_the_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other, beside in BESIDE.get(name, {}).items():
        monkeypatch.setenv(f"FANTAIL_{other.upper()}", beside)
    monkeypatch.setenv(f"FANTAIL_{name.upper()}", value)
    with pytest.raises(WrongSettingError) as wrong:
        started()
    said = str(wrong.value)
    assert f"FANTAIL_{name.upper()}" in said or (name == "jwt_algorithm" and "FANTAIL_JWT_SECRET" in said)
    assert "\n" not in said


def started() -> None:
    """What the server checks before it opens a socket or starts a process."""
    settings = load_settings()
    check_database(settings)
    check_token_key(settings)


@pytest.mark.parametrize(
    ("code", "words", "settings"),
    [
        (2, ("FANTAIL_KEEPALIVE_S='nan'",), {"FANTAIL_KEEPALIVE_S": "nan"}),
        (2, ("FANTAIL_ALLOWED_HOSTS=",), {"FANTAIL_ALLOWED_HOSTS": "http://a"}),
        (2, ("FANTAIL_JWT_SECRET is no key for RS256",),
         {"FANTAIL_AUTH": "jwt", "FANTAIL_JWT_SECRET": SECRET, "FANTAIL_JWT_ALGORITHM": "RS256"}),
        (1, ("FANTAIL_HOST", "--host"),
         {"FANTAIL_HOST": "no.such.host.invalid", "FANTAIL_AUTH": "jwt", "FANTAIL_JWT_SECRET": SECRET}),
        (1, ("FANTAIL_HOST", "--host"),
         {"FANTAIL_HOST": "a..b", "FANTAIL_AUTH": "jwt", "FANTAIL_JWT_SECRET": SECRET}),
        (1, ("FANTAIL_HOST",), {"FANTAIL_HOST": "192.0.2.1", "FANTAIL_AUTH": "jwt", "FANTAIL_JWT_SECRET": SECRET}),
        (1, ("FANTAIL_FD", "--fd", "no socket"), {"FANTAIL_FD": "1"}),
        (1, ("FANTAIL_FD", "--fd", "no socket"), {"FANTAIL_FD": "987"}),
    ],
)  # fmt: skip
def test_the_program_ends_with_one_line_and_leaves_nothing(
    code: int, words: tuple[str, ...], settings: dict[str, str], tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    ended, said = refused(settings={"FANTAIL_PORT": "0", "FANTAIL_DATA_DIR": str(data_dir), **settings})
    assert (ended, said.count("\n")) == (code, 1), said
    assert said.startswith("fantail: ")
    for word in words:
        assert word in said
    assert not data_dir.exists()


def test_a_socket_that_does_not_listen_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        descriptor = bound.fileno()
        code, said = refused("--fd", str(descriptor), "--data-dir", str(tmp_path / "d"), pass_fds=[descriptor])
    assert (code, said.count("\n")) == (1, 1), said
    assert "FANTAIL_FD" in said
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("where", ["/dev/null/x", "/proc/nope/x", "/etc/passwd", "x" * 300, "/dev/null"])
def test_a_data_directory_that_cannot_be_is_named_with_its_setting(where: str, tmp_path: Path) -> None:
    code, said = refused("--port", "0", "--data-dir", where if where.startswith("/") else str(tmp_path / where))
    assert (code, said.count("\n")) == (1, 1), said
    assert "--data-dir" in said
