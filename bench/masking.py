"""Masking of secrets: how fast text goes through it, and what it costs where nothing is masked.

The reference of the throughput is orjson writing the same text as one JSON string: what every line goes through anyway.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from typing import TYPE_CHECKING

import orjson

from bench.fantail import fantail
from bench.load import Crowd
from bench.report import Row
from bench.searching import lines
from fantail.broker.limits import LIVE_PAGE_RECORDS_MAX, READ_BYTES_MAX
from fantail.broker.log.records import records_of
from fantail.broker.masking.foreign import EntryMasker
from fantail.broker.masking.masker import SecretMasker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORT = 18840
COUNT = 200_000
ROUNDS = 5
THROUGHPUT_MB_PER_S = 50
# What comes close to each kind of rule and is none.
NEAR = (
    "password = get_password(user_{number}) token: string secret=$SECRET api_key=${{API_KEY}}",
    "--token TOKEN --password=PASSWORD https://localhost:{number}/a@b ghp_short_{number} sk-loading-spinner-{number}",
    "tokens: {number} max_tokens={number} Authorization: Bearer $TOKEN Cookie: none eyJ.eyJ.{number}",
)


def near(count: int) -> Iterator[str]:
    """Lines full of what resembles secrets."""
    for number, shape in zip(range(count), itertools.cycle(NEAR), strict=False):
        yield shape.format(number=number)


async def masking() -> list[Row]:
    """A stream of lines through the masker; pages of entries, and a cold replay, with and without masking."""
    rows = [
        _throughput(what, "\n".join(made(COUNT)).encode()) for what, made in (("of builds", lines), ("near hits", near))
    ]
    with_s, without_s = _pages()
    rows.append(
        Row(
            f"recognising {COUNT:,} entries, masked",
            with_s * 1e3,
            "ms",
            "the same without masking",
            without_s * 1e3,
            "ratio ≤ 1.1",
            with_s <= 1.1 * without_s,
        )
    )
    masked_s, plain_s = await _replays()
    rows.append(
        Row(
            "cold replay of 100,000 lines, masked",
            masked_s * 1e3,
            "ms",
            "the same with FANTAIL_MASK_SECRETS=false",
            plain_s * 1e3,
            "ratio ≤ 1.1",
            masked_s <= 1.1 * plain_s,
        )
    )
    return rows


def _throughput(what: str, text: bytes) -> Row:
    chunks = [text[at : at + READ_BYTES_MAX] for at in range(0, len(text), READ_BYTES_MAX)]
    decoded = text.decode()

    def masked() -> None:
        masker = SecretMasker()
        for chunk in chunks:
            masker.feed(chunk)
        masker.flush()

    value, reference = (len(text) / 1e6 / _fastest(work) for work in (masked, lambda: orjson.dumps(decoded)))
    return Row(
        f"masking, lines {what}",
        value,
        "MB/s",
        "orjson.dumps of the text",
        reference,
        f"≥ {THROUGHPUT_MB_PER_S} MB/s",
        value >= THROUGHPUT_MB_PER_S,
    )


def _pages() -> tuple[float, float]:
    entries = [
        orjson.dumps({"timestamp": 1772360430000 + number, "line": f"step {number} is done", "stream": "stdout"})
        for number in range(COUNT)
    ]
    pages = [entries[at : at + LIVE_PAGE_RECORDS_MAX] for at in range(0, COUNT, LIVE_PAGE_RECORDS_MAX)]

    def read(masker: EntryMasker | None) -> None:
        for page in pages:
            records_of(page, 0, masker=masker)

    return _fastest(lambda: read(EntryMasker())), _fastest(lambda: read(None))


async def _replays(count: int = 100_000) -> tuple[float, float]:
    """Medians of cold replays, of two servers in turns."""
    times: dict[str, list[float]] = {"true": [], "false": []}
    for _ in range(2):
        for masks, taken in times.items():
            with fantail(PORT, FANTAIL_MASK_SECRETS=masks, FANTAIL_TOTAL_BYTES=str(512 * 2**20)) as server:
                for number in range(ROUNDS):
                    server.create_job(f"bench-{number}", "success")
                    server.push(f"bench-{number}", count)
                for number in range(ROUNDS):
                    crowd = Crowd(f"{server.url}/api/jobs/bench-{number}/stream", 1)
                    started_s = time.perf_counter()
                    await crowd.connect()
                    await crowd.received(count)
                    taken.append(time.perf_counter() - started_s)
                    crowd.close()
            await asyncio.sleep(0)
    return statistics.median(times["true"]), statistics.median(times["false"])


def _fastest(work: Callable[[], object]) -> float:
    taken_s = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        work()
        taken_s.append(time.perf_counter() - started_s)
    return min(taken_s)
