"""The wheel has all that the program needs: installed elsewhere, it serves the dashboard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.fantail_process import environment

ROOT = Path(__file__).parent.parent
READY = re.compile(r"Fantail is ready on (\S+)")


def run(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not (ROOT / "src/web/dashboard/index.html").exists(), reason="no dashboard is built (make setup)")
def test_installed_elsewhere_it_serves_the_dashboard(tmp_path: Path) -> None:
    run("hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("fantail-*.whl")
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
                assert httpx.get(ready[1] + part).content == (place / "web/dashboard" / part[1:]).read_bytes()
            assert {file.name for file in place.glob("*/py.typed")} == {"py.typed"}
        finally:
            served.terminate()
    assert served.returncode == 0
