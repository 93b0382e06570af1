"""No login and no token in what is shown of another program's lines and of addresses, whatever surrounds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrewatch.host.untrusted_text import MAX_CHARACTERS, decode_text, redact_url, redact_urls, redacted_line

SECRET = "S3kr1t"
PADDING = st.text("abcxyz019'\"()!$&*+,;=~%._-", max_size=12)
SECRETS = st.tuples(PADDING, PADDING).map(SECRET.join)
SCHEMES = st.sampled_from(["http", "https", "rtsp", "rtsps", "rtmp", "mms"])
HOSTS = st.sampled_from(["host", "127.0.0.1:8000", "[::1]:80", "radio.example.org"])
AROUND = st.sampled_from(["", " ", "'", '"', "(", "<a href=", "could not open ", "x" * 190 + " ", "y" * 1990 + " "])


@given(SCHEMES, SECRETS, HOSTS, AROUND, AROUND)
def test_a_login_is_never_shown(scheme, secret, host, before, after):
    url = f"{scheme}://user:{secret}@{host}/live"
    line = f"{before}{url}{after}"
    assert SECRET not in redacted_line(decode_text(line.encode()))
    assert SECRET not in redact_urls(line, keep_path=True)
    assert SECRET not in redact_url(url)


@given(SCHEMES, SECRETS, HOSTS, AROUND)
def test_the_values_of_a_query_are_never_shown(scheme, secret, host, before):
    url = f"{scheme}://{host}/a'b/live?token={secret.replace('&', '').replace(';', '')}&x=1"
    assert SECRET not in redacted_line(before + url)
    assert SECRET not in redact_urls(before + url, keep_path=True)


@pytest.mark.parametrize(
    "line",
    [
        f"http://u:pa/ss{SECRET}@host/x",
        f"http://u:pa's{SECRET}@host/x",
        f"could not notify tgram://{SECRET}:abc/123",
        f"curl: (6) could not resolve u:{SECRET}@host",
        f"Authorization: Basic {SECRET}",
        f"mqtt_password={SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        "http://user:" + "x" * 250 + SECRET + "y" * 3000 + "@host/",
    ],
)
def test_known_forms_of_secrets_are_not_shown(line):
    shown = redacted_line(decode_text(line.encode()))
    assert SECRET not in shown
    assert len(shown) <= MAX_CHARACTERS


@pytest.mark.parametrize(
    "line",
    [
        "no such card",
        "arecord: main:830: audio open error: No such file or directory",
        "12:30:05 device hw:1,0 is busy",
        "mail me@example.org",
        "password required",
    ],
)
def test_other_lines_stay_as_they_are(line):
    assert redacted_line(line) == line


def test_an_address_that_is_no_url_with_a_space_in_its_login_is_not_shown():
    assert redact_url(f"http://u:my {SECRET}@host/live.mp3?t={SECRET}") == "http://...@host/live.mp3?t=..."
    assert redact_url("http://host:8000/@me/live") == "http://host:8000/@me/live"
