"""Bytes of a command's output in, whole lines of text out.

A line is what ends with a line feed; the rest of the last one is given at the end. Everything else stays in the line
as it was printed, carriage returns included: a progress bar is one line that was drawn over itself, and a download
gives back the very text. A line longer than the bound is cut into pieces, each but the last with a mark.

What holds: the lines do not depend on how the bytes were cut into chunks. Only complete lines (or pieces, cut between
two characters) are decoded, and no byte of a longer UTF-8 sequence looks like a line feed: so a character split over
two reads stays one character (trap 21). Bytes that are no UTF-8 become U+FFFD.

Decided against: an incremental decoder in front of the splitter. It gives the same lines and decodes chunk by chunk,
where one call per block of lines is several times faster.
"""

from __future__ import annotations

from typing import Final

from fantail.broker.limits import RUN_LINE_BYTES_MAX

CUT_MARK: Final = " … [cut here: the line goes on in the next entry]"
_UTF8_BYTES_MAX: Final = 4


class LineDecoder:
    """Splits one stream into lines; each of a command's streams needs its own."""

    def __init__(self, line_bytes_max: int = RUN_LINE_BYTES_MAX) -> None:
        """Takes the length in bytes from which a line is cut (at least 4, so that every character fits)."""
        self._line_bytes_max = max(line_bytes_max, _UTF8_BYTES_MAX)
        self._held = bytearray()  # a list of pieces takes 20 times as much if they have two bytes each

    def feed(self, chunk: bytes) -> list[str]:
        """Takes the next bytes, and returns the lines that they complete, without their line feeds."""
        end = chunk.rfind(b"\n")
        if end < 0:
            return self._hold(chunk)
        block = b"".join((self._held, chunk[:end]))
        self._held.clear()
        return self._lines(block) + self._hold(chunk[end + 1 :])

    def flush(self) -> list[str]:
        """Returns the unfinished line, if there is one: the stream is over."""
        block = bytes(self._held)
        self._held.clear()
        return self._lines(block) if block else []

    def _lines(self, block: bytes) -> list[str]:
        if len(block) <= self._line_bytes_max:
            return block.decode("utf-8", "replace").split("\n")
        lines = []
        for line in block.split(b"\n"):
            pieces, rest = self._cut(line)
            lines += [*pieces, rest.decode("utf-8", "replace")]
        return lines

    def _hold(self, part: bytes) -> list[str]:
        if not part:
            return []
        self._held += part
        if len(self._held) <= self._line_bytes_max:
            return []
        pieces, rest = self._cut(bytes(self._held))
        self._held[:] = rest
        return pieces

    def _cut(self, line: bytes) -> tuple[list[str], bytes]:
        """The pieces of an overlong line, and the rest, which is within the bound."""
        pieces = []
        start = 0
        while len(line) - start > self._line_bytes_max:
            end = _border_before(line, start + self._line_bytes_max)
            pieces.append(line[start:end].decode("utf-8", "replace") + CUT_MARK)
            start = end
        return pieces, line[start:]


def _border_before(line: bytes, end: int) -> int:
    """The last place at or before `end` where a character may begin; `end` itself where none is near."""
    for place in range(end, end - _UTF8_BYTES_MAX, -1):
        if line[place] & 0xC0 != 0x80:  # noqa: PLR2004 (RFC 3629, section 3: a continuation byte is 10xxxxxx)
            return place
    return end
