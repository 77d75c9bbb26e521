"""What is known of pipelines, in one document, and what viewers are told when it changes.

The document is `{"backend": {"available"}, "pipelines": {id: {"status", "error"}}}`. Each change of it is one operation
in its log, noted with what clients are to be told (an event's name, the time, the pipeline), or with nothing. A
viewer is a cursor into that log, so every viewer finds every change, whoever looked first (trap 8).

What is told:
  - a status, when it changes;
  - that a pipeline does not exist, once (trap 12); it has no status then;
  - trouble, once, and the status that was known stays (trap 17). Trouble in transport speaks of the whole backend if
    the backend said nothing to any other poll either, since the first cut; then it is told once and not once per
    pipeline. A pipeline that has accused the backend wrongly, as the others are answered, speaks for itself from then
    on;
  - the end of trouble that was told: a status with itself as the one before. Every client understands a status, and
    for one that never heard of trouble it changes nothing. Decided against an event of its own, which no client
    written before it would know, and a second `batch_update`, which would vouch for pipelines that were not asked yet.

A poll that was refused or cut is not told of: a backend that restarts cuts what is kept open. The next one is.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any, Final, assert_never

from fantail.broker.documents.json_patch import pointer
from fantail.broker.documents.patch_store import PatchStore
from fantail.broker.sources.pipelines.backend import Cause, Health, Trouble, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fantail.broker.documents.json_patch import JsonObject, JsonValue
    from fantail.broker.sources.pipelines.backend import Answer
    from fantail.broker.tables import Tables

logger = logging.getLogger("fantail.sources.pipelines")

TABLE: Final = "pipelines"
NOT_FOUND: Final = "PIPELINE_NOT_FOUND"
UNAVAILABLE: Final = "BACKEND_UNAVAILABLE"

# What a logged operation's note says under "event".
STATUS_UPDATE: Final = "status_update"
ERROR: Final = "error"


class PipelineBoard:
    """The document, fed with answers.

    Attributes:
        store: the document and its log.

    Args:
        tables: gets a row per pipeline too, if it has a table `pipelines`.
        on_news: called when viewers of a pipeline (None: of any) are to be told something; must not block.
        now_s: a monotonic clock, in seconds.
        wall_ms: the time for people, in milliseconds of the Unix epoch.
    """

    def __init__(
        self,
        tables: Tables | None,
        on_news: Callable[[str | None], None],
        now_s: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._tables = tables if tables is not None and TABLE in tables.names else None
        self._on_news = on_news
        self._now_s = now_s
        self._wall_ms = wall_ms
        self._spoken = 0
        self._last: dict[str, Answer | None] = {}
        self._spoken_at_cut: dict[str, int] = {}
        self._accusers: set[str] = set()
        self._doubted: set[str] = set()
        self.store = PatchStore(secrets.token_hex(6))
        self._append("add", ("backend",), {"available": True}, None)
        self._append("add", ("pipelines",), {}, None)

    @property
    def available(self) -> bool:
        """Whether the backend answers."""
        return bool(self.store.document["backend"]["available"])

    @property
    def spoken(self) -> int:
        """How often the backend has said anything at all."""
        return self._spoken

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """Status and error of each pipeline, as they are now."""
        rows: Mapping[str, Mapping[str, Any]] = self.store.document["pipelines"]
        return rows

    def add(self, pipeline_id: str) -> None:
        """A pipeline of which nothing is known yet."""
        self._last[pipeline_id] = None
        self._append("add", ("pipelines", pipeline_id), {"status": None, "error": None}, None)

    def remove(self, pipeline_id: str) -> None:
        """Forgets a pipeline."""
        del self._last[pipeline_id]
        self._spoken_at_cut.pop(pipeline_id, None)
        self._accusers.discard(pipeline_id)
        self._doubted.discard(pipeline_id)
        self._append("remove", ("pipelines", pipeline_id), None, None)
        if self._tables is not None:
            self._tables.put_row(TABLE, pipeline_id, None, self._now_s())

    def take(self, pipeline_id: str, answer: Answer, *, alone: bool) -> bool:
        """Takes the answer of one poll.

        Args:
            pipeline_id: whose.
            answer: what the backend said.
            alone: whether the backend said nothing at all while that poll lasted.

        Returns:
            Whether to look again soon: a status that was known has changed, or a connection was cut for the first time.
        """
        before, self._last[pipeline_id] = self._last[pipeline_id], answer
        if not isinstance(answer, Trouble) or not answer.in_transport:
            self._spoken += 1
            self._spoken_at_cut.pop(pipeline_id, None)
            self._accusers.discard(pipeline_id)
            self._set_available(None)
        match answer:
            case Health(status=status):
                return self._take_status(pipeline_id, status)
            case Unknown():
                self._take_error(pipeline_id, NOT_FOUND, "Pipeline not found", status=None)
            case Trouble(cause=Cause.REFUSED) if not _refused(before):
                self._spoken_at_cut[pipeline_id] = self._spoken
                return True
            case Trouble() if answer.in_transport and (not self.available or self._accuses(pipeline_id, alone=alone)):
                self._set_available(answer)
            case Trouble(cause=cause):
                self._take_error(pipeline_id, UNAVAILABLE, cause.sentence, status=self.rows[pipeline_id]["status"])
            case _:
                assert_never(answer)
        return False

    def _accuses(self, pipeline_id: str, *, alone: bool) -> bool:
        spoken = self._spoken
        if not alone or pipeline_id in self._accusers or self._spoken_at_cut.get(pipeline_id, spoken) != spoken:
            return False
        self._accusers.add(pipeline_id)
        return True

    def _take_status(self, pipeline_id: str, status: str) -> bool:
        row = self.rows[pipeline_id]
        before = row["status"]
        if status != before or row["error"] is not None or pipeline_id in self._doubted:
            self._doubted.discard(pipeline_id)
            self._put_row(pipeline_id, status, None, {"event": STATUS_UPDATE, "previous": before})
        return before not in {None, status}

    def _take_error(self, pipeline_id: str, code: str, message: str, *, status: str | None) -> None:
        error = self.rows[pipeline_id]["error"]
        if error is None or error["code"] != code:
            logger.info("pipeline %s: %s", pipeline_id, message)
            self._put_row(pipeline_id, status, {"code": code, "message": message}, {"event": ERROR})

    def _put_row(self, pipeline_id: str, status: str | None, error: JsonObject | None, told: JsonObject | None) -> None:
        if told is not None:
            told |= {"id": pipeline_id}
        self._append("replace", ("pipelines", pipeline_id), {"status": status, "error": error}, told)
        if told is not None:
            self._on_news(pipeline_id)
        if self._tables is not None:
            shown = {"id": pipeline_id, "status": status, "error": error and error["code"]}
            row: JsonObject = {name: value for name, value in shown.items() if value is not None}
            # One that does not exist has no row: anybody may ask for any id, and everybody sees the table.
            found = None if error and error["code"] == NOT_FOUND else {**row, "updated_at": self._wall_ms()}
            self._tables.put_row(TABLE, pipeline_id, found, self._now_s())

    def _set_available(self, trouble: Trouble | None) -> None:
        if self.available is (trouble is None):
            return
        if trouble is None:
            logger.warning("the pipeline backend answers again")
            self._append("replace", ("backend",), {"available": True}, None)
            return
        logger.warning("%s (%s)", trouble.cause.value, trouble.detail)
        self._doubted.update(self._last)
        state: JsonObject = {"available": False, "message": trouble.cause.sentence}
        self._append("replace", ("backend",), state, {"event": ERROR})
        self._on_news(None)

    def _append(self, verb: str, path: tuple[str, ...], value: JsonValue, told: JsonObject | None) -> None:
        operation: Any = {"op": verb, "path": pointer(*path)}
        if verb != "remove":
            operation["value"] = value
        note = None if told is None else {**told, "at": self._wall_ms()}
        self.store.append([operation], self._now_s(), notes=[note])


def _refused(answer: Answer | None) -> bool:
    return isinstance(answer, Trouble) and answer.cause is Cause.REFUSED
