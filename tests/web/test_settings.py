"""Settings: names and defaults that others rely on, and one clear line for a wrong one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fantail.web.settings import Settings, WrongSettingError, described, load_settings, unknown_names

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FANTAIL_") or name == "REDIS_URL":
            monkeypatch.delenv(name)


def check_refused(*words: str, **given: object) -> None:
    """The values are refused in one line that has the words."""
    with pytest.raises(WrongSettingError) as refused:
        load_settings(**given)
    line = str(refused.value)
    assert "\n" not in line
    assert len(line) < 300
    for word in words:
        assert word in line


def test_the_names_and_defaults_that_others_rely_on() -> None:
    defaults = {setting.name: setting.default for setting in described()}
    assert {name: defaults[f"FANTAIL_{name}"] for name in ("KEEPALIVE_S", "MAX_STREAM_S", "WRITE_TIMEOUT_S")} == {
        "KEEPALIVE_S": "30",
        "MAX_STREAM_S": "3600",
        "WRITE_TIMEOUT_S": "30",
    }
    assert (defaults["FANTAIL_LINGER_S"], defaults["FANTAIL_DRAIN_S"]) == ("60", "5")
    assert (defaults["FANTAIL_HOST"], defaults["FANTAIL_PORT"]) == ("127.0.0.1", "8765")
    assert defaults["FANTAIL_TABLES"] == "jobs=job:*,tasks=task:*"
    assert defaults["FANTAIL_AUTH"] == "none"
    assert defaults["FANTAIL_USE_SSE_STATUS"] == "true"
    assert defaults["FANTAIL_LINE_BYTES"] == str(1024 * 1024)
    for name in ("REDIS_URL", "DATA_DIR", "JWT_SECRET", "PIPELINE_URL", "DATABASE_URL", "CORS_ORIGINS"):
        assert defaults[f"FANTAIL_{name}"] == ""
    assert {"FANTAIL_STORE_BYTES", "FANTAIL_TOTAL_BYTES"} < defaults.keys()


def test_every_setting_says_what_it_means() -> None:
    assert all(len(setting.description) > 10 for setting in described())


def test_what_is_given_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8765
    monkeypatch.setenv("FANTAIL_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=9001).port == 9001
    assert load_settings(port=None).port == 9000
    monkeypatch.setenv("FANTAIL_PORT", "")
    assert load_settings().port == 8765


def test_redis_url_is_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://fallback")
    assert load_settings().redis_url == "redis://fallback"
    monkeypatch.setenv("FANTAIL_REDIS_URL", "redis://own")
    assert load_settings().redis_url == "redis://own"
    assert load_settings(redis_url="redis://given").redis_url == "redis://given"


def test_lists_and_tables_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FANTAIL_CORS_ORIGINS", "https://a.example, http://b.example:81,")
    monkeypatch.setenv("FANTAIL_TABLES", "jobs=job:*, processes=process:*")
    monkeypatch.setenv("FANTAIL_DATA_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "http://b.example:81")
    assert settings.tables == {"jobs": "job:*", "processes": "process:*"}
    assert settings.data_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("port", 65_536, "65535"),
        ("port", "http", "integer"),
        ("keepalive_s", 0, "greater than 0"),
        ("keepalive_s", "nan", "finite"),
        ("max_stream_s", "1h", "number"),
        ("drain_s", -1, "greater than or equal to 0"),
        ("auth", "basic", "'none', 'jwt' or 'proxy'"),
        ("log_level", "loud", "'debug'"),
        ("store_bytes", 10, "greater than"),
        ("tables", "jobs", "name=pattern"),
        ("tables", "jobs=job:*,jobs=x:*", "each name once"),
        ("tables", "a/b=job:*", "name=pattern"),
        ("cors_origins", "*", "exact origins"),
        ("cors_origins", "https://a.example/", "exact origins"),
        ("proxy_addresses", "10.0.0.0/8,nowhere", "nowhere"),
        ("access_log", "maybe", "boolean"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(name: str, value: object, allowed: str) -> None:
    check_refused(f"FANTAIL_{name.upper()}=", allowed, **{name: value})


def test_a_wrong_value_in_the_environment_is_refused_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTAIL_KEEPALIVE_S", "soon")
    check_refused("FANTAIL_KEEPALIVE_S='soon'", "number")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("jwt_secret", "too short"),
        ("redis_url", "http://me:password@h"),
        ("database_url", 7),
        ("pipeline_url", "ftp://me:password@h"),
    ],
)
def test_a_secret_is_not_repeated(name: str, secret: object) -> None:
    with pytest.raises(WrongSettingError) as refused:
        load_settings(**{name: secret})
    assert str(secret) not in str(refused.value)
    assert "(not shown)" in str(refused.value)


def test_settings_that_do_not_go_together_are_refused() -> None:
    check_refused("FANTAIL_JWT_SECRET", auth="jwt")
    check_refused("FANTAIL_PROXY_ADDRESSES", auth="proxy")
    check_refused("FANTAIL_STORE_BYTES", store_bytes=2**30, total_bytes=2**20)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_authentication_only_loopback_is_listened_on(host: str) -> None:
    """Trap 30, the server's part."""
    check_refused("FANTAIL_AUTH", "loopback", host=host)
    assert load_settings(host=host, auth="jwt", jwt_secret=SECRET).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_authentication(host: str) -> None:
    assert load_settings(host=host).auth == "none"


def test_a_flag_that_is_no_setting_is_refused() -> None:
    check_refused("no setting nonsense", nonsense=1)


def test_unknown_names_are_told_with_the_nearest_that_exists() -> None:
    environment = {"FANTAIL_KEEPALIV_S": "1", "FANTAIL_PORT": "1", "FANTAIL_URL": "x", "FANTAIL_QQQ": "", "HOME": "/"}
    assert unknown_names(environment) == {"FANTAIL_KEEPALIV_S": "FANTAIL_KEEPALIVE_S", "FANTAIL_QQQ": None}


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    "address",
    ["http://", "http://host:99999", "http://host:0", "http://[::1", "http://a b", "http://h\nx", "http://h?a=b"],
)
def test_an_address_where_no_backend_can_be_stops_the_start(address: str) -> None:
    with pytest.raises(WrongSettingError, match="FANTAIL_PIPELINE_URL") as raised:
        load_settings(pipeline_url=address)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["http://host", "https://me:password@host:8443/base/", "http://[::1]:80"])
def test_a_backends_address_may_have_a_port_a_path_and_a_password(address: str) -> None:
    assert load_settings(pipeline_url=address).pipeline_url == address
