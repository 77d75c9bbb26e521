from __future__ import annotations

import random
import re
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.masking.environment import secret_values, unmaskable
from fantail.broker.masking.key_blocks import MASK, KeyBlock, may_be_body
from fantail.broker.masking.masker import SecretMasker
from fantail.broker.masking.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

GITHUB = b"ghp_" + b"a1B2" * 9
SECRETS = (b"hunter2-and-more", b"and-more-of-it", b"aaaa")

KEY = b"""before
-----BEGIN OPENSSH PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED

b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ
  QyNTUxOQAAACDk+/abc=
-----END OPENSSH PRIVATE KEY-----
after
"""


@cache
def _rules(values: tuple[bytes, ...]) -> Rules:
    return Rules(values)


def masked(chunks: Iterable[bytes], values: Iterable[bytes] = (), window_bytes: int = 65_536) -> bytes:
    masker = SecretMasker(_rules(tuple(values)), window_bytes=window_bytes)
    return b"".join([*map(masker.feed, chunks), masker.flush()])


def cut(text: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    starts = [0, *ends]
    return [text[start:end] for start, end in zip(starts, ends, strict=False)]


def check(text: bytes, expected: bytes, values: Iterable[bytes] = ()) -> None:
    assert masked([text], values) == expected
    assert masked([text[i : i + 1] for i in range(len(text))], values) == expected
    for place in range(len(text)):
        assert masked([text[:place], text[place:]], values) == expected


def test_a_secret_is_masked_wherever_the_writes_are_cut() -> None:
    check(b"login: hunter2-hunter2\nok\n", b"login: ***\nok\n", [b"hunter2-hunter2"])


@pytest.mark.parametrize(
    "token",
    [
        GITHUB,
        b"github_pat_" + b"x" * 22,
        b"glpat-" + b"x1-" * 7,
        b"sk-" + b"Z9" * 16,
        b"sk-ant-api03-" + b"x_" * 20,
        b"sk_live_" + b"x" * 24,
        b"xoxb-1234567890-abcdef",
        b"AKIAIOSFODNN7EXAMPLE",
        b"AIza" + b"x" * 35,
        b"npm_" + b"x" * 36,
        b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        b"-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKCAQEA\\nabc=\\n",
    ],
)
def test_the_shapes_of_common_tokens_are_masked(token: bytes) -> None:
    check(b"a '" + token + b"' b\n" + token, b"a '***' b\n***")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"git clone https://ada:hunter2@example.com/x.git\n", b"git clone https://ada:***@example.com/x.git\n"),
        (b"redis://:hunter2@localhost:6379/0", b"redis://:***@localhost:6379/0"),
        (b"postgresql+asyncpg://u:p%40ss:w@h/d?x=1", b"postgresql+asyncpg://u:***@h/d?x=1"),
        (b'"https://a:b@c","https://d:e@f"', b'"https://a:***@c","https://d:***@f"'),
        (b"Authorization: Bearer abc.DEF_ghi~1+2/3==\n", b"Authorization: Bearer ***\n"),
        (b"> authorization: Basic YWRhOmh1bnRlcjI=\r\n", b"> authorization: Basic ***\r\n"),
        (b"curl -H 'Authorization: token 0123abcd' x", b"curl -H 'Authorization: token ***' x"),
        (b"""{"Authorization": "Bearer abcdef"}""", b"""{"Authorization": "Bearer ***"}"""),
        (b"Private-Token: 0123456789", b"Private-Token: ***"),
        (b"Authorization: Bearer " + GITHUB, b"Authorization: Bearer ***"),
    ],
)
def test_what_stands_where_secrets_do_is_masked(text: bytes, shown: bytes) -> None:
    check(text, shown)
    assert masked([text], window_bytes=256) == shown


@pytest.mark.parametrize(
    "text",
    [
        b"http://localhost:8765/a@b https://example.com:443 http://[::1]:80/x",
        b"ssh://git@example.com:22/x git@example.com:x/y.git",
        b"https://registry.example.com:4873/@scope/name",
        b"Authorization: Bearer $TOKEN Authorization: Bearer ***",
        b"Authorization is required; the bearer of this letter; Bearer tokens-are-described-in-rfc-6750",
        b"std://a:b c@d",
    ],
)
def test_what_only_stands_near_them_passes(text: bytes) -> None:
    check(text, text)


def test_a_line_full_of_places_takes_time_in_proportion_to_its_length() -> None:
    for part in (b"://", b"://a:b", b"://a:b@", b"authorization: bearer ", b"a:"):
        began_s = time.process_time()
        masked([part * (1_000_000 // len(part))], window_bytes=262_144)
        assert time.process_time() - began_s < 10


@pytest.mark.parametrize(
    "line", [b" " * 300_000 + b"!x", b"+ " + b"\x1b[1m " * 60_000 + b"ab!cd!", b"a= " * 100_000 + b"!ab"]
)
def test_a_line_inside_a_key_takes_time_in_proportion_to_its_length(line: bytes) -> None:
    began_s = time.process_time()
    block = KeyBlock()
    block.take(b"-----BEGIN PRIVATE KEY-----")
    block.take(line)
    may_be_body(line)
    assert time.process_time() - began_s < 10  # a pattern that backtracks takes minutes


def test_a_token_behind_a_colour_is_masked_with_the_colour_kept() -> None:
    token = b"AKIAIOSFODNN7EXAMPLE"
    check(b"\x1b[1;32m" + token + b"\x1b[0m", b"\x1b[1;32m***\x1b[0m")


@pytest.mark.parametrize(
    "text",
    [
        b"class sk-loading-spinner-container-large",
        b"task-507f1f77bcf86cd799439011 desk-0123456789abcdef01234567",
        b"ghp_short AKIA eyJ.eyJ.x sk- \xff\xfe\x00\r\n\n\r",
        b"XAKIAIOSFODNN7EXAMPLE AKIAIOSFODNN7EXAMPLEX",
    ],
)
def test_what_only_resembles_a_token_passes(text: bytes) -> None:
    check(text, text)


def test_overlapping_secrets_leave_no_remainder() -> None:
    check(b"x hunter2-and-more-of-it y", b"x *** y", SECRETS)
    check(b"aaaaaaaaa b", b"*** b", SECRETS)


def test_the_body_of_a_private_key_is_masked_and_its_frame_shown() -> None:
    shown = KEY.replace(b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ", MASK)
    check(KEY, shown.replace(b"  QyNTUxOQAAACDk+/abc=", MASK))


def test_code_that_only_mentions_a_private_key_is_not_swallowed() -> None:
    text = b'if line == "-----BEGIN PRIVATE KEY-----":\n    return parse(line, 1)\nMIIE\n'
    check(text, text)


def test_a_long_secret_is_masked_whole() -> None:
    secret = random.Random(1).randbytes(900).hex().encode()
    check(b"a " + secret + b" b\n", b"a " + MASK * 7 + b" b\n", [secret])


def test_a_line_longer_than_the_window_is_shown_before_it_ends_and_masked() -> None:
    masker = SecretMasker(Rules([b"hunter2-hunter2"]), window_bytes=1024)
    shown = masker.feed((b"." * 100 + b"hunter2-hunter2") * 100)
    assert len(shown) > 8_000
    assert b"hunter2" not in shown + masker.flush()


def test_a_token_longer_than_every_window_is_masked_to_its_end() -> None:
    token = b"glpat-" + b"x" * 10_000
    assert masked([b"a " + token + b" b\n"], window_bytes=256) == b"a *** b\n"


def test_secret_variables_are_known_by_their_names_and_lengths() -> None:
    environment = {
        "GITHUB_TOKEN": "t0ken-t0ken",
        "DB_PASSWORD": "short",
        "STRIPE_API_KEY": "key-key-key",
        "TOKEN_FILE": "/run/secrets/token",
        "HOME": "/home/somebody",
        "CHOSEN": "four",
        "TINY": "abc",
        "DEPLOY_PRIVATE_KEY": "-----BEGIN-----\nbody-body-body\n}\n",
    }
    values = secret_values(environment, ["CHOSEN", "TINY", "ABSENT"])
    assert values == [b"-----BEGIN-----", b"body-body-body", b"four", b"key-key-key", b"t0ken-t0ken"]
    assert unmaskable(environment, ["CHOSEN", "TINY", "ABSENT"]) == ["TINY"]


PIECES = st.sampled_from(
    [
        *SECRETS,
        GITHUB,
        b"glpat-" + b"y" * 20,
        b"Authorization: Bearer ",
        b"://u:",
        b"@",
        b"/",
        b"sk-",
        b"Q7" * 12,
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----END PRIVATE KEY-----",
        b"PRIVATE KEY",
        b"MIIE0",
        b"\x1b[32m",
        b"\xc3\xa9",
        *(b"a", b"aa", b" ", b"\n", b"\n", b"-", b"\r"),
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map(b"".join)
PLACES = st.lists(st.integers(0, 2000), max_size=12)


@given(text=TEXTS, places=PLACES, window_bytes=st.sampled_from([32, 64, 200, 65_536]))
@settings(max_examples=300, deadline=None)
def test_however_the_output_is_cut_what_is_shown_is_the_same(text: bytes, places: list[int], window_bytes: int) -> None:
    whole = masked([text], SECRETS, window_bytes)
    assert masked(cut(text, places), SECRETS, window_bytes) == whole
    assert whole.count(b"\n") == text.count(b"\n")


def naively_masked(line: bytes) -> bytes:
    """The definition: every byte covered by a match of any rule at any place; overlapping ones are one mask."""
    shown, written = b"", 0
    for start, end in _rules(SECRETS).spans(line):
        if start >= written:
            shown += line[written:start] + MASK
        shown += b"".join(re.findall(rb"\x1b\[[0-9;:]*m", line[max(start, written) : end]))
        written = max(written, end)
    return shown + line[written:]


@given(text=TEXTS.filter(lambda text: b"PRIVATE KEY" not in text), places=PLACES)
@settings(max_examples=200, deadline=None)
def test_what_is_masked_is_what_the_definition_says(text: bytes, places: list[int]) -> None:
    expected = b"\n".join(naively_masked(line) for line in text.split(b"\n"))
    assert masked(cut(text, places), SECRETS) == expected
    assert masked(cut(text, places), SECRETS, window_bytes=256) == expected


@given(text=st.binary(max_size=400), places=PLACES)
@settings(max_examples=100, deadline=None)
def test_what_is_no_secret_passes_byte_for_byte(text: bytes, places: list[int]) -> None:
    assert masked(cut(text, places)) == text


RANDOM = st.randoms(use_true_random=False).map(
    lambda chance: "k7" + "".join(chance.choices("ABCDEFGHabcdefgh0123456789", k=40))
)
PLACED = st.sampled_from(
    ["ghp_{}", "password={}", "x_glpat-{}", '"api_key": "{}"', "https://u:{}@h/", "Authorization: Bearer {}", "{}"]
)


@given(secret=RANDOM, place=PLACED, data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_part_of_a_secret_is_shown_however_it_comes(secret: str, place: str, data: st.DataObject) -> None:
    """Cut into any writes, drawn again after a carriage return, coloured at any place."""
    drawn = place.format(secret)
    where = st.integers(place.index("{"), len(place) - 2 + len(secret))
    for at in sorted(data.draw(st.lists(where, max_size=2), "colours"), reverse=True):
        drawn = drawn[:at] + data.draw(st.sampled_from(["\x1b[1m", "\x1b[0m", "\x1b[38;5;9m"])) + drawn[at:]
    text = f"before {drawn}\r{drawn} after\n{drawn}".encode()
    rules = Rules([secret.encode()]) if place == "{}" else None
    masker = SecretMasker(rules)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    shown = b"".join([*map(masker.feed, cut(text, cuts)), masker.flush()])
    seen = re.sub(rb"\x1b\[[0-9;]*m", b"", shown).decode()
    assert not [at for at in range(len(secret) - 4) if secret[at : at + 5] in seen], seen
    assert "before" in seen
    assert "after" in seen


def test_complete_lines_are_held_back_by_nothing() -> None:
    masker = SecretMasker()
    assert masker.feed(b"one\ntwo\nghp_a1B2") == b"one\ntwo\n"
    assert masker.feed(b"a1B2" * 8 + b"\n") == b"***\n"
