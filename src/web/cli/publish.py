"""The command `fantail publish`: one line of a worker's script says where a test or a run stands."""

from __future__ import annotations

import os
from typing import Annotated, Any

import anyio
import orjson
import typer

from fantail.broker.errors import BrokerError, InvalidIdError
from fantail.broker.lenient_json import can_be_written, without_surrogates
from fantail.web.cli.options import DataDir, RedisUrl
from fantail.web.cli.terminal_text import visible

MISUSED = 2
NOT_PUBLISHED = 125


def publish(
    kind: Annotated[str, typer.Argument(metavar="run|test", help="What it is.")],
    subject_id: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    status: Annotated[str, typer.Argument(metavar="STATUS", help="running, passed, failed, …")],
    *,
    member: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A member of the payload: startedAt=…, duration=…. JSON where it reads as such. Repeatable.",
        ),
    ] = None,
    complete: Annotated[
        bool | None,
        typer.Option("--complete/--progress", help="Whether it is the end. Without it, the status says so."),
    ] = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
) -> int:
    """Say where a test or a run stands, to dashboards that watch it.

    Exit code: 0; 2 for a wrong kind, id or member; 125 if Redis does not answer for half a minute.
    """
    from fantail.web.cli.locate import NotLocatedError, redis_address  # noqa: PLC0415 - imported late, as all commands do

    if kind not in {"run", "test"}:
        return _refuse(f"not a kind: {kind!r}; say run or test")
    members: dict[str, Any] = {}
    for given in member or ():
        name, separator, value = given.partition("=")
        if not name or not separator:
            return _refuse(f"not a member: {given!r}; say NAME=VALUE")
        members[without_surrogates(name)] = _value(value)
    if not can_be_written(members):
        return _refuse("not a payload: it is nested too deeply")

    async def say(url: str) -> None:
        from fantail.broker.masking.environment import secret_values  # noqa: PLC0415
        from fantail.broker.producers.writer.status_publisher import StatusPublisher  # noqa: PLC0415

        async with StatusPublisher(url, secrets=secret_values(os.environ)) as publisher:
            await publisher.publish(kind, subject_id, without_surrogates(status), members, complete=complete)

    try:
        anyio.run(say, redis_address(redis_url, data_dir))
    except (NotLocatedError, InvalidIdError) as error:
        return _refuse(str(error))
    except (BrokerError, ValueError) as error:
        typer.echo(f"fantail: {visible(str(error))}", err=True)
        return NOT_PUBLISHED
    return 0


def _value(text: str) -> Any:
    """Objects, lists, numbers, true, false, null as JSON; anything else as it is, what is no UTF-8 replaced."""
    text = without_surrogates(text)
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _refuse(why: str) -> int:
    typer.echo(f"fantail: {visible(why)}", err=True)
    return MISUSED
