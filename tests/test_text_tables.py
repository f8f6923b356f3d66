"""Tables as lines of text."""

from fairmot.text_tables import aligned, markdown

ROWS = [("name", "boxes", "ids"), ("a", "7", ""), ("longest", "1234567", "12")]


def test_words_stand_left():
    assert aligned(ROWS) == ["name     boxes    ids", "a        7", "longest  1234567  12"]


def test_numbers_stand_right():
    assert aligned(ROWS, numbers=True) == ["name       boxes  ids", "a              7", "longest  1234567   12"]


def test_no_rows_no_lines():
    assert aligned([]) == []


def test_markdown():
    assert markdown(ROWS[0], [ROWS[2]]) == [
        "| name | boxes | ids |",
        "| --- | --- | --- |",
        "| longest | 1234567 | 12 |",
    ]
    assert markdown(ROWS[0], [], numbers=True)[1] == "| --- | ---: | ---: |"
