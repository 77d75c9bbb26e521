"""What foreign text may do to the reader's terminal: colour it and link, and nothing else.

A job's output is written by whatever it runs. Obeyed as it is, it can set the clipboard (OSC 52), answer as if the
reader had typed (DCS), clear the screen and write over what stood there. `safe_line` lets colours and styles (SGR) and
links (OSC 8) through and removes every other control sequence and control character (ECMA-48); a sequence without an
end is removed to the end of the line. `visible` is for names and messages, which need no colour: control characters are
shown, not obeyed.
"""

from __future__ import annotations

import logging
import re
from typing import Final

# ESC [ … and its 8-bit form CSI; ESC ] …, ended by BEL or ST; the other strings, ended by ST; other escape sequences.
_SEQUENCE: Final = re.compile(
    "(?P<sgr>\x1b\\[[0-9;:]*m)"
    "|(?P<link>\x1b\\]8;[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\\\))"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)?"
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x9c|\x1b\\\\|$)?"
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])(?:[^\x1b\x9c]|\x1b(?!\\\\))*(?:\x9c|\x1b\\\\|$)"
    "|\x1b[ -/]*[0-~]?"
    "|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
_PLAIN: Final = "\x1b[m"
_NO_LINK: Final = "\x1b]8;;\x1b\\"
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_UNESCAPED: Final = re.compile("[\x7f-\x9f]")

# C0 and DEL in caret notation, C1 as the replacement character.
_SHOWN: Final = {
    **{code: f"^{chr(code ^ 0x40)}" for code in (*range(0x20), 0x7F)},
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
}
_SHOWN_IN_TEXT: Final = {code: shown for code, shown in _SHOWN.items() if chr(code) not in "\t\n"}


def safe_line(line: str) -> str:
    """A line of output as a terminal may have it. Styles and links that it leaves open are closed at its end."""
    if _CONTROL.search(line) is None:
        return line
    styled = linked = False

    def kept(found: re.Match[str]) -> str:
        nonlocal styled, linked
        if found["sgr"] is not None:
            styled = True
            return found[0]
        if found["link"] is not None:
            linked = True
            return found[0]
        return ""

    text = _SEQUENCE.sub(kept, line)
    return text + (_NO_LINK if linked else "") + (_PLAIN if styled else "")


def safe_json(text: str) -> str:
    """JSON as a terminal may have it: the control characters that JSON lets stand (DEL and C1) are escaped."""
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def visible(text: str) -> str:
    """A name or a message on one line, with its control characters shown."""
    return text.translate(_SHOWN)


def visible_text(text: str) -> str:
    """The same for text of several lines: tabs and line feeds stay."""
    return text.translate(_SHOWN_IN_TEXT)


class VisibleFormatter(logging.Formatter):
    """Formats log records with their control characters shown: they quote what others wrote."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return visible_text(super().format(record))
