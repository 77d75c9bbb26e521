"""What is masked wherever it stands, and what never is: one line each."""

from __future__ import annotations

import re

import pytest

from fantail.broker.masking.masker import masked_bytes
from fantail.broker.masking.rules import Rules

A = "a1B2c3D4e5"
MASKED = [
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
    ("password=hunter2", "password=***"),
    ("password: hunter2", "password: ***"),
    ("password = letmein", "password = ***"),
    ("password: letmein", "password: ***"),
    ('"password": "swordfish"', '"password": "***"'),
    ('password="hunter2', 'password="***'),
    ("ssh_password=P@ssw0rd", "ssh_password=***"),
    ('"api_key": "abc123def456"', '"api_key": "***"'),
    ('{\\"password\\":\\"hunter2x\\"}', '{\\"password\\":\\"***\\"}'),
    ('"password": "hunter2!"', '"password": "***"'),
    ("config['api_key'] = 'abcd1234efgh'", "config['api_key'] = '***'"),
    ("+MY_TOKEN=supersecretvalue99", "+MY_TOKEN=***"),
    ("export DB_PASS=letmeinplease", "export DB_PASS=***"),
    ("STRIPE_KEY=abcdef0123456789abcd", "STRIPE_KEY=***"),
    ("PGPASSWORD=swordfish psql", "PGPASSWORD=*** psql"),
    ("secret_key_base: 0123456789abcdef0123456789abcdef", "secret_key_base: ***"),
    ("curl -s -u user:pw http://x", "curl -s -u user:*** http://x"),
    ('curl --user "user:pa55" https://x', 'curl --user "user:***" https://x'),
    ("docker login -u ada -p hunter2 registry", "docker login -u ada -p *** registry"),
    ("machine github.com login ada password hunter2", "machine github.com login ada password ***"),
    ("Cookie: session=abcdef0123; theme=dark", "Cookie: ***"),
    ("set-cookie: sid=s%3Aabcdef; Path=/", "set-cookie: ***"),
    ("Authorization: 0123abcdef9876", "Authorization: ***"),
    ('("Authorization", "Bearer abcdef123456")', '("Authorization", "Bearer ***")'),
    ("X-Api-Key: 0123456789abc", "X-Api-Key: ***"),
    ("https://ghtoken0123456789abcd@github.com/x", "https://***@github.com/x"),
    ("postgres://u:hunter2@h/d", "postgres://u:***@h/d"),
    ("https:\\/\\/u:hunter2@h", "https:\\/\\/u:***@h"),
    ("--password=hunter2", "--password=***"),
    ("--password=swordfish", "--password=***"),
    ("--token abc123def", "--token ***"),
    ("AccountName=x;AccountKey=" + A * 8 + "==;EndpointSuffix=y", "AccountName=x;AccountKey=***;EndpointSuffix=y"),
    ("https://hooks.slack.com/services/T0123ABCD/B0123ABCD/abcdEFGHijkl", "https://hooks.slack.com/services/***"),
    ("?X-Amz-Signature=" + "a1" * 32, "?X-Amz-Signature=***"),
    ("//registry/:_authToken=abc-123-def-456", "//registry/:_authToken=***"),
    *(
        (token, "***")
        for token in (
            "hvs." + A * 3,
            "gsk_" + A * 5,
            "r8_" + A * 4,
            "SG." + "a" * 22 + "." + "b" * 43,
            "dckr_pat_" + A * 3,
            "dop_v1_" + "a1" * 32,
            "shpat_" + "a1" * 16,
            "GOCSPX-" + A * 3,
            "ATATT3x" + A * 10,
            "lin_api_" + A * 4,
            "nvapi-" + A * 6,
            "whsec_" + A * 4,
            "glpat-" + A * 3,
            "AIza" + A * 3 + "abcde",
            "sk-proj-" + A * 5,
        )
    ),
    ("x_ghp_" + "a1B2" * 9, "x_***"),
    ("ghp_\x1b[1ma1B2\x1b[0m" + "a1B2" * 8, "***\x1b[1m\x1b[0m"),
    ("ghp_a1B2\x1b[K" + "a1B2" * 8, "***"),
    ("token: \x1b[32mghp_" + "a1B2" * 9 + "\x1b[0m", "token: \x1b[32m***\x1b[0m"),
    ("\x1b[36mpassword\x1b[0m=\x1b[31mhunter2\x1b[0m ok", "\x1b[36mpassword\x1b[0m=\x1b[31m***\x1b[0m ok"),
    ("50%\rpassword=hunter2\r100%", "50%\rpassword=***\r100%"),
]
SHOWN = [
    "password=$PASSWORD",
    "TOKEN=${TOKEN}",
    "token = process.env.TOKEN1",
    'password = os.environ["DB_PASSWORD1"]',
    "password=get_password()",
    "password = settings.DB_PASSWORD2",
    "api_key: ${{ secrets.API_KEY1 }}",
    "secret: {{ .Values.secret1 }}",
    "secret=<secret>",
    "user.password = password",
    "Enter password: incorrect",
    "--password=PASSWORD --token TOKEN --token=<token>",
    "token: string",
    '"token": "string"',
    "password: str = None",
    "token=token, password=password",
    "const token = useToken2(x)",
    "token = tokens[0]",
    "let token: u64 = 5",
    'type="password"',
    "max_tokens=4096 tokens: 128000 token_count = 12",
    "Authorization: Bearer $TOKEN",
    "headers = {'Authorization': v4auth_header}",
    "delete_cookie(COOKIE, path=_root(request))",
    "commit 52a06ba1d2f3e4a5b6c7d8e9f0a1b2c3d4e5f6a7",
    '"integrity": "sha512-qZV+S7cxzNSmcEq7eG+A8BzVpnvuRIJgHEqeW1+s5cMJ7DyJdcFCPBcSiXzhq5CdQ7GgB7bJD0xv3QJ0Y3RtCg=="',
    "certifi==2024.2.2 --hash=sha256:" + "ab12" * 16,
    "sha256:" + "0f" * 32 + " " + "0f" * 64,
    "550e8400-e29b-41d4-a716-446655440000",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "tests/test_token.py::test_password_of_secret_api_key_2 PASSED",
    "docker run -u 1000:1000 x",
    "http://localhost:8765/a@b git@github.com:x/y.git",
    "PWD=/home/x1 SSH_KEY=/root/.ssh/id_ed25519",
    "cache_key=abc123 CACHE_KEY=linux-build-0123456789",
    "class sk-loading-spinner-container-large",
    "secretName: my-tls-secret1",
]


@pytest.mark.parametrize(("text", "shown"), MASKED)
def test_a_secret_is_masked_by_its_place_or_its_shape(text: str, shown: str) -> None:
    assert masked_bytes(text.encode()).decode() == shown
    assert masked_bytes(f"first\n- {text}\nlast".encode()).decode() == f"first\n- {shown}\nlast"


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masked_bytes(text.encode()).decode() == text


@pytest.mark.parametrize(("text", "shown"), MASKED)
def test_masking_what_is_masked_changes_nothing(text: str, shown: str) -> None:
    assert masked_bytes(shown.encode()).decode() == shown, text


def test_a_chosen_value_is_masked_with_a_colour_inside_it() -> None:
    assert masked_bytes(b"hunter2-\x1b[1mhunter2", Rules([b"hunter2-hunter2"])) == b"***\x1b[1m"


def test_a_key_of_which_only_the_end_is_there_is_masked() -> None:
    body = "\n".join(["+" + A * 6 + "abcd"] * 4)
    hunk = f"@@ -2,5 +2,5 @@\n{body}\n+abc=\n+-----END RSA PRIVATE KEY-----\n+after\n"
    shown = "@@ -2,5 +2,5 @@\n" + "***\n" * 5 + "+-----END RSA PRIVATE KEY-----\n+after\n"
    assert masked_bytes(hunk.encode()).decode() == shown


def test_a_key_behind_the_prefix_of_a_log_is_masked() -> None:
    text = f"web-1  | -----BEGIN PRIVATE KEY-----\nweb-1  | {A * 6}abcd\nweb-1  | abc=\nweb-1  | done\n"
    shown = "web-1  | -----BEGIN PRIVATE KEY-----\nweb-1  | ***\nweb-1  | ***\nweb-1  | done\n"
    assert masked_bytes(text.encode()).decode() == shown


def test_a_token_of_which_each_letter_has_a_colour_is_masked() -> None:
    text = "".join(f"\x1b[3{at % 8}m{letter}" for at, letter in enumerate("ghp_" + "a1B2" * 9))
    assert re.sub(r"\x1b\[[0-9]*m", "", masked_bytes(text.encode()).decode()) == "***"
