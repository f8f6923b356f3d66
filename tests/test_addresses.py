"""Addresses: what is masked in them, and what files made from them are called."""

import time

import pytest

from fairmot.addresses import is_address, masked, masked_address, name_of_address


@pytest.mark.parametrize(
    ("address", "shown", "name"),
    [
        ("rtsp://admin:12@3#4@10.0.0.2:554/live/1", "rtsp://***@10.0.0.2:554/live/1", "10.0.0.2_554_live_1"),
        ("rtsp://admin:a/b@cam/live", "rtsp://***@cam/live", "cam_live"),
        ("rtsp://cam/user=me&password=x&channel=1", "rtsp://cam/user=***&password=***&channel=1", None),
        ("https://h:8080/a/street.mp4?Token=x&n=1", "https://h:8080/a/street.mp4?Token=***&n=1", "street"),
        ("https://h/%E8%A1%97.mp4", "https://h/%E8%A1%97.mp4", "街"),
        ("http://h:5000/v@1/street.mp4", "http://h:5000/v@1/street.mp4", "street"),
        ("http://h", "http://h", "h"),
        (
            "https://h/a.mp4?access_key=x&X-Amz-Credential=y&n=1",
            "https://h/a.mp4?access_key=***&X-Amz-Credential=***&n=1",
            "a",
        ),
        ("https://h/a.mp4#auth=x", "https://h/a.mp4#auth=***", "a"),
        ("rtsp://me:a b@cam/live", "rtsp://***@cam/live", "cam_live"),
        ("mysql+pymysql://me:12/b@h/db", "mysql+pymysql://***@h/db", None),
        ("postgresql://:a/b@h/db", "postgresql://***@h/db", None),
        ("mssql://h/?odbc_connect=UID%3Dme;PWD%3Dx", "mssql://h/?odbc_connect=UID%3D***", None),
    ],
)
def test_passwords_are_masked_and_stay_out_of_names(address, shown, name):
    assert is_address(address)
    assert masked(address) == shown
    assert masked(f"cannot reach {address} (refused)") == f"cannot reach {shown} (refused)"
    assert name is None or name_of_address(address) == name
    assert not {"12@3", "a/b"} & set(name_of_address(address))


@pytest.mark.parametrize(
    "token",
    [
        *(f"ghp_{'a1' * 18}", f"glpat-{'a-1_' * 5}", f"hf_{'aB' * 17}", f"dapi{'0f' * 16}", f"AKIA{'A1' * 8}"),
        *("xoxb-123456789012-abc", f"sk-{'a1' * 20}", f"eyJ{'a' * 20}.{'b' * 30}.{'c-_' * 10}"),
    ],
)
def test_tokens_are_masked_wherever_they_stand(token):
    assert masked(f"refused: {token}, try again") == "refused: ***, try again"
    assert masked(f"/data/{token}.txt") == "/data/***.txt"


def test_what_is_an_address_from_end_to_end_may_have_blanks():
    assert masked_address("https://my token@host/a") == "https://***@host/a"
    assert masked_address("https://me:1 2@host/a") == "https://***@host/a"
    assert masked_address("see https://me:a@host now") == "see https://***@host now"


def test_sentences_about_addresses_stay_readable():
    for text in (
        "http://h:5000 does not answer (write to me@work)",
        "rtsp://cam:554: refused, me@work",
        "/data/sk-learn/hf_models/eyJa.b/AKIA.txt",
    ):
        assert masked(text) == text


@pytest.mark.parametrize(
    "part", ["a", "a://b:c ", "http://user", "eyJa-", "http://a:b", "http://h/?key&", "http://a:b@c", "a@", ":", "user"]
)
def test_no_text_takes_long(part):
    began_s = time.process_time()
    masked_address("http://" + part * (60_000 // len(part)))
    assert time.process_time() - began_s < 5


def test_what_is_no_address_is_left_alone():
    for text in ("street.mp4", "C:/a@b", "user=me", "/dev/video0", "sqlite:////a/b@c.db"):
        assert masked(text) == text
    assert not is_address("C:/videos/a.mp4")
