"""What status dashboards are fed from is made from the settings, and a wrong one is one clear line."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from fantail.broker import Broker
from fantail.web.settings import Settings, WrongSettingError, load_settings
from fantail.web.status_sources import StatusSources, status_tables


def sources(redis_url: str | None = None, **settings: Any) -> StatusSources:
    return StatusSources.of(Broker(), Settings(**settings), redis_url)


def test_each_source_is_there_only_if_it_is_set() -> None:
    nothing = sources()
    assert (nothing.pipelines, nothing.statuses, nothing.database) == (None, None, None)
    everything = sources("unix:///nowhere", pipeline_url="http://127.0.0.1:1", database_url="sqlite:///x.db")
    assert everything.pipelines is not None
    assert everything.statuses is not None
    assert everything.database is not None


def test_the_tables_have_one_of_pipelines_where_there_is_a_backend() -> None:
    assert status_tables(Settings()) == ["jobs", "tasks"]
    assert status_tables(Settings(pipeline_url="http://127.0.0.1:1")) == ["jobs", "tasks", "pipelines"]
    assert status_tables(Settings(pipeline_url="http://x", tables={"pipelines": "p:*"})) == ["pipelines"]


def in_a_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_database_without_the_packages_for_it_says_what_to_install() -> None:
    said = in_a_new_process(
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from fantail.web.server import serve\n"
        "sys.stderr = sys.stdout\n"
        "print(serve(database_url='sqlite:///x.db', redis_url='unix:///nowhere', port=0))"
    )
    assert said.splitlines()[-2:] == [
        (
            "fantail: FANTAIL_DATABASE_URL needs packages that are not installed (sqlalchemy): "
            "pip install 'fantail-hub[sql]'"
        ),
        "2",
    ]


def test_without_a_database_the_packages_for_one_are_not_even_imported() -> None:
    """They are an extra, and half of the time that a start takes."""
    assert in_a_new_process("import sys, fantail.web.server; print('sqlalchemy' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"database_url": "mysql://host/name"}, "FANTAIL_DATABASE_URL is not allowed: mysql cannot be read here"),
        ({"database_url": "nonsense"}, "FANTAIL_DATABASE_URL is not allowed"),
        ({"database_url": "sqlite:///x", "database_names": "runs.colour=x"}, "there is no table or column runs.colour"),
    ],
)
def test_a_wrong_database_is_one_clear_line(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongSettingError) as refused:
        sources(**settings)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"pipeline_url": "ftp://x"},
        {"pipeline_health_path": "/pipeline/health"},
        {"pipeline_timeout_s": 0},
        {"database_names": "runs"},
        {"database_names": "=x"},
        {"running_capacity": 0},
        {"status_ttl_s": -1},
    ],
)
def test_a_wrong_setting_names_itself(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(WrongSettingError, match=f"FANTAIL_{name.upper()}="):
        load_settings(**settings)


def test_names_of_tables_and_columns_are_read_from_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTAIL_DATABASE_NAMES", "runs=ci.executions, runs.user_id = owner ,")
    assert load_settings().database_names == {"runs": "ci.executions", "runs.user_id": "owner"}
