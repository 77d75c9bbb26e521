"""The wheel has all that the program needs: installed elsewhere, it serves the dashboard."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from support.servers.fantail_process import environment

ROOT = Path(__file__).parent.parent
READY = re.compile(r"Fantail is ready on (\S+)")


def run(*words: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not (ROOT / "src/web/dashboard/index.html").exists(), reason="no dashboard is built (make setup)")
def test_installed_elsewhere_it_serves_the_dashboard(tmp_path: Path) -> None:
    run("hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("fantail_hub-*.whl")
    place = tmp_path / "installed"
    run("pip", "install", "--quiet", "--no-index", "--no-deps", "--target", place, wheel)
    served = subprocess.Popen(
        [place / "bin" / "fantail", "serve", "--port", "0", "--data-dir", tmp_path / "data"],
        env=environment({"PYTHONPATH": str(place)}),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with served:
        try:
            assert served.stdout is not None
            ready = READY.search(served.stdout.readline())
            assert ready is not None
            page = httpx.get(ready[1])
            assert page.status_code == 200
            parts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
            assert {Path(part).suffix for part in parts} >= {".js", ".css"}
            for part in parts:
                assert httpx.get(ready[1] + part).content == (place / "fantail/web/dashboard" / part[1:]).read_bytes()
            assert [file.relative_to(place).as_posix() for file in place.rglob("py.typed")].count(
                "fantail/py.typed"
            ) == 1
        finally:
            served.terminate()
    assert served.returncode == 0


def built(kind: str, folder: Path) -> Path:
    run("hatchling", "build", "-t", kind, "-d", folder)
    (made,) = folder.glob("fantail_hub-*.whl" if kind == "wheel" else "fantail_hub-*.tar.gz")
    return made


def test_the_wheel_has_one_package_that_is_the_folder_src(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("wheel", tmp_path)) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"fantail"}
    held = {name.removeprefix("fantail/") for name in names if name.endswith((".py", "py.typed"))}
    there = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src").rglob("*.py")} | {"py.typed"}
    assert held == there


def test_the_source_distribution_builds_the_same_wheel(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (root,) = (tmp_path / "unpacked").iterdir()
    run("hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=root)
    (again,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(built("wheel", tmp_path)) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())


def test_it_stands_beside_packages_named_web_and_broker(tmp_path: Path) -> None:
    """As the distributions `web.py` and `broker` do, whose packages have the names that ours had."""
    place = tmp_path / "installed"
    for name in ("web", "broker"):
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").write_text(f"NAME = {name!r}\n", encoding="utf-8")
    run("pip", "install", "--quiet", "--no-index", "--no-deps", "--target", place, built("wheel", tmp_path))
    code = (
        "import broker, web, fantail.broker; from fantail.web import create_app; "
        "print(web.NAME, broker.NAME, fantail.broker.__file__, callable(create_app))"
    )
    # The packages that it needs are those of this environment, from which it is not taken itself.
    shown = f"import sys; sys.path[:0] = [{str(place)!r}]; {code}"
    done = subprocess.run([sys.executable, "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["web", "broker", str(place / "fantail/broker/__init__.py"), "True"], done.stderr
