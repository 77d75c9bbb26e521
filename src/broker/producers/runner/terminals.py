"""What a command writes to: terminals of its own, or pipes, and the environment that goes with them.

Under a terminal most programs write line by line, and in colour; into a pipe they write blocks of 4 KiB, which nobody
can follow live. So each stream gets a pseudo-terminal: two keep stdout and stderr apart, their mutual order
approximate; one for both keeps the exact order and forgets which is which. Pipes are for programs that refuse
terminals.

The terminals are only for writing: pagers are `cat`, and the command is the leader of a session
without a controlling terminal, so no question is asked there that waits for an answer. Output processing is off (OPOST
of termios(3)): a line feed stays one byte.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

from fantail.broker.limits import RUN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROWS: Final = 24
_TERM: Final = "xterm-256color"


class Capture(Enum):
    """How the output of a command is taken."""

    TWO_TERMINALS = "two"
    ONE_TERMINAL = "one"
    PIPES = "pipes"


@dataclass(frozen=True, slots=True)
class Outlet:
    """One of the command's streams: the command writes at one end, and we read at the other without waiting."""

    stream: str
    read_fd: int
    write_fd: int

    def close_writing(self) -> None:
        """Leaves the writing end to the command, so that its end is the end of the stream."""
        os.close(self.write_fd)

    def close_reading(self) -> None:
        """Ends the stream; whoever still writes is told so by an error."""
        os.close(self.read_fd)


def open_terminals(capture: Capture, columns: int = RUN_COLUMNS) -> tuple[Outlet, ...]:
    """Opens what a command writes to: stdout and stderr, or one for both.

    Raises:
        OSError: no more terminals or files may be opened.
    """
    match capture:
        case Capture.TWO_TERMINALS:
            return (_terminal("stdout", columns), _terminal("stderr", columns))
        case Capture.ONE_TERMINAL:
            return (_terminal("stdout", columns),)
        case Capture.PIPES:
            return (_pipe("stdout"), _pipe("stderr"))
        case _:
            assert_never(capture)


def environment_for(inherited: Mapping[str, str], capture: Capture, columns: int = RUN_COLUMNS) -> dict[str, str]:
    """The command's environment: ours, with pagers that do not wait and the width of its terminal."""
    environment = {**inherited, "PAGER": "cat", "GIT_PAGER": "cat", "COLUMNS": str(columns)}
    if capture is not Capture.PIPES and not inherited.get("TERM"):
        environment["TERM"] = _TERM
    return environment


def _pipe(stream: str) -> Outlet:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    return Outlet(stream, read_fd, write_fd)


def _terminal(stream: str, columns: int) -> Outlet:
    read_fd, write_fd = os.openpty()
    os.set_blocking(read_fd, False)
    settings = termios.tcgetattr(write_fd)
    settings[1] &= ~termios.OPOST
    settings[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(write_fd, termios.TCSANOW, settings)
    fcntl.ioctl(write_fd, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    return Outlet(stream, read_fd, write_fd)
