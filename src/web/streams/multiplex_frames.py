"""What one topic's frames look like among those of others: the items of the arrays that `POST /api/streams` sends.

A face writes frames for a client of its own. Here they are taken apart again and become JSON, in which the frame's data
stands as it is, for it is JSON on one line already:

    id: 7-0a1b2c3d                 {"topic":"/api/jobs/42/stream","event":"output",
    event: output           ->      "id":"7-0a1b2c3d","data":{"line":"…"}}
    data: {"line":"…"}

A frame of an id alone is an item of `topic` and `id` alone. Comments have no place in JSON and stay comments.

Decided against: faces that yield events instead of bytes. Nine of ten readers have a stream of their own or share
encoded bytes with those who do, and they would pay for it; taking a frame apart costs a microsecond.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from fantail.web.sse.response import frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fantail.broker.documents.json_patch import JsonValue

# Names and ids are of `[0-9A-Za-z._-]` (`fantail.web.sse.response.frame`): nothing in them must be escaped in JSON.
_BLOCK: Final = re.compile(
    rb"(?:id:(?P<id> ?[0-9A-Za-z._-]*)\n)?(?:event: (?P<event>[0-9A-Za-z._-]+)\n)?(?:data: (?P<data>[^\n]*)\n)?\n"
    rb"|: (?P<comment>[^\n]*)\n\n"
)


class TopicFrames:
    """Writes one topic's items.

    Args:
        topic: as the client named it.
    """

    __slots__ = ("_head",)

    def __init__(self, topic: str) -> None:
        self._head = b'{"topic":' + orjson.dumps(topic)

    def items(self, frames: bytes) -> tuple[list[bytes], list[bytes]]:
        """Whole frames of a face as items of an array, and the comments among them.

        Raises:
            ValueError: they are no frames as `fantail.web.sse.response.frame` writes them.
        """
        items: list[bytes] = []
        comments: list[bytes] = []
        place = 0
        while place < len(frames):
            block = _BLOCK.match(frames, place)
            if block is None:
                raise ValueError(f"no frame of ours: {frames[place : place + 80]!r}")
            place = block.end()
            position, event, data, comment = block.groups()
            if comment is not None:
                comments.append(comment)
            elif position is not None or data is not None:
                items.append(self._item(position, event, data))
        return items, comments

    def refused(self, status: int, data: JsonValue) -> bytes:
        """The item of a topic that is refused."""
        return b'%b,"event":"refused","status":%d,"data":%b}' % (self._head, status, orjson.dumps(data))

    def end(self) -> bytes:
        """The item of a topic that has ended."""
        return self._head + b',"event":"end"}'

    def _item(self, position: bytes | None, event: bytes | None, data: bytes | None) -> bytes:
        item = self._head
        if data is not None:
            item += b',"event":"' + (event or b"message") + b'"'
        if position is not None:
            item += b',"id":"' + position.removeprefix(b" ") + b'"'
        if data is not None:
            item += b',"data":' + data
        return item + b"}"


def array_frame(items: Iterable[bytes]) -> bytes:
    """One unnamed frame whose data is the array of these items."""
    return frame(b"[" + b",".join(items) + b"]")
