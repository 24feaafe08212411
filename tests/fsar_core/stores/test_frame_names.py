"""Which names are frames, and in which order."""

import pytest

from fsar_core.data.stores.frame_names import NoFrames, in_order, is_frame


@pytest.mark.parametrize(
    "names",
    [
        ["00000001.jpg", "00000002.jpg", "00000010.jpg"],
        ["img_00000.jpg", "img_00001.jpg", "img_00002.jpg"],
        ["9.png", "10.png", "100.png"],
        ["frame-1.JPG", "frame-2.jpg", "frame-11.jpg"],
        ["a [b]*?_0_007.jpeg", "a [b]*?_0_08.jpeg", "a [b]*?_0_9.jpeg"],
        ["0.jpg", "1.jpg"],
        [f"{'9' * 200}.jpg", f"1{'0' * 200}.jpg"],
    ],
)
def test_frames_are_ordered_by_number(names: list[str]) -> None:
    assert in_order(reversed(names)) == tuple(names)


def test_other_files_and_optical_flow_are_passed_over() -> None:
    names = ["img_00002.jpg", "img_00001.jpg", "flow_x_00001.jpg", "flow_y_00001.jpg", "notes.txt", "cover.jpg"]
    assert in_order(names) == ("img_00001.jpg", "img_00002.jpg")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "no frames"),
        (["cover.jpg", "a.txt"], "no frames"),
        (["flow_x_1.jpg"], "no frames"),
        (["1.jpg", "01.jpg"], "two images have the number 1: 01.jpg and 1.jpg"),
        (["0.jpg", "000.jpg"], "two images have the number 0"),
        (["1.jpg", "2.png"], r"2 kinds of image names \(\*.jpg, \*.png\)"),
        (["a1.jpg", "b1.jpg"], r"2 kinds of image names \(a\*.jpg, b\*.jpg\)"),
    ],
)
def test_names_that_do_not_say_what_the_frames_are_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(NoFrames, match=said):
        in_order(names)


def test_only_a_number_before_an_image_suffix_makes_a_frame() -> None:
    assert [is_frame(name) for name in ("1.jpg", "x1.png", "1.gif", "one.jpg", "1.jpg.txt")] == [
        True,
        True,
        False,
        False,
        False,
    ]
