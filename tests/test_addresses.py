"""Addresses: what is masked in them, and what files made from them are called."""

import pytest

from fairmot.addresses import is_address, masked, name_of_address


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
    ],
)
def test_passwords_are_masked_and_stay_out_of_names(address, shown, name):
    assert is_address(address)
    assert masked(address) == shown
    assert masked(f"cannot reach {address} (refused)") == f"cannot reach {shown} (refused)"
    assert name is None or name_of_address(address) == name
    assert not {"12@3", "a/b"} & set(name_of_address(address))


def test_what_is_no_address_is_left_alone():
    for text in ("street.mp4", "C:/a@b", "user=me", "/dev/video0", "sqlite:////a/b@c.db"):
        assert masked(text) == text
    assert not is_address("C:/videos/a.mp4")
