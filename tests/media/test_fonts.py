"""Names in letters that are not English, in pictures and in plots."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from fairmot.media import fonts
from fairmot.media.drawing import Painter
from fairmot.media.figures import save_figure
from fairmot.media.fonts import in_fonts, text_mask
from fairmot.media.picture import read_image
from fairmot.structures import Tracks

NOWHERE = "\U0010fffd"  # a character for private use, which no font has


@pytest.fixture
def nothing_said(monkeypatch):
    fonts.font_of.cache_clear()
    fonts._say_once.cache_clear()
    monkeypatch.setattr(fonts, "_system_fonts", list)


def captioned(caption):
    nobody = Tracks(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    return Painter().draw(np.full((240, 320, 3), 127, np.uint8), nobody, caption)


def title_of(tmp_path, title):
    figure = Figure((4, 2))
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_yticks([0, 1], [title, "b"])
    path = tmp_path / "figure.png"
    save_figure(figure, path)
    return read_image(str(path))


@pytest.mark.parametrize("text", ["街道", "夜景行人视频", "ключ", "café", "日本"])
def test_letters_are_found_without_the_systems_fonts(nothing_said, caplog, text):
    assert "".join(part for part, _ in in_fonts(text)) == text
    masks = [text_mask(character, 24) for character in text]
    assert all(mask.max() > 200 for mask in masks)
    assert len({mask.tobytes() for mask in masks}) == len(set(text))  # no squares, which are all alike
    assert not caplog.messages


def test_a_caption_may_be_chinese():
    pictures = [captioned(caption) for caption in ("街道-03  12", "广场-03  12", "??-03  12")]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert (captioned("plain") != captioned("街")).any()
    for picture in pictures:
        assert (picture[60:] == 127).all() and (picture[:20] > 200).any()


def test_a_caption_that_does_not_fit_is_cut():
    assert captioned("街道" * 60).shape == (240, 320, 3)


def test_a_plot_may_be_chinese_without_a_word_of_missing_glyphs(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [title_of(tmp_path, title) for title in ("街道: $a$ and $b$", "广场: $a$ and $b$")]
    assert not np.array_equal(*pictures)


def test_a_letter_that_no_font_has_is_said_once(tmp_path, nothing_said, caplog):
    for _ in range(2):
        assert "".join(part for part, _ in in_fonts(f"a{NOWHERE}b")) == "a?b"
        captioned(f"街{NOWHERE}")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            title_of(tmp_path, f"街{NOWHERE}")
    assert len(caplog.messages) == 1
    assert "no font here" in caplog.text and "fonts-noto-cjk" in caplog.text


def test_the_systems_fonts_come_last(nothing_said, monkeypatch, tmp_path):
    broken = tmp_path / "Broken-Regular.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_system_fonts", lambda: [broken, fonts._CHINESE])
    monkeypatch.setattr(fonts, "_default", lambda: broken)
    assert fonts.font_of("街") == fonts._CHINESE
    assert fonts.font_of(NOWHERE) is None
