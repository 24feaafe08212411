import pytest

from fsar_core.data.listing.lines import BadLine, Line, parse

GOOD = {
    "paddling kayak/AbCdEfGhIjK_000012_000022": Line("class/video", "AbCdEfGhIjK_000012_000022", "paddling kayak"),
    "Laying it on its side, not upright/999001": Line("class/video", "999001", "Laying it on its side, not upright"),
    "brush_hair/a [b]*?!#&()+;@~.c": Line("class/video", "a [b]*?!#&()+;@~.c", "brush_hair"),
    "YoYo/v_YoYo_g01_c01.avi": Line("class/video", "v_YoYo_g01_c01", "YoYo"),
    "train8/999001": Line("number/video", "999001", number=8, prefix="train"),
    "train0//videos/brush_hair/x.avi": Line(
        "label//path", "x", number=0, prefix="train", hint="videos/brush_hair/x.avi", folder="brush_hair"
    ),
    "val0//AbC.mkv": Line("label//path", "AbC", number=0, prefix="val", hint="AbC.mkv"),
    "jump//videos/x.webm": Line("label//path", "x", "jump", hint="videos/x.webm", folder="videos"),
    "999001 45 8": Line("path frames number", "999001", number=8, frames=45),
    "frames/999001\t45 8": Line(
        "path frames number", "999001", number=8, frames=45, hint="frames/999001", folder="frames"
    ),
    "/data/hmdb/jump/clip 45 8": Line(
        "path frames number", "clip", number=8, frames=45, hint="jump/clip", folder="jump", absolute=True
    ),
    "C:\\data\\jump\\clip 45 8": Line(
        "path frames number", "clip", number=8, frames=45, hint="jump/clip", folder="jump", absolute=True
    ),
    "videos/x.mp4 12": Line("path number", "x", number=12, hint="videos/x.mp4", folder="videos"),
    "videos/x.mp4,12": Line("path number", "x", number=12, hint="videos/x.mp4", folder="videos"),
    "./x.mp4 , 12": Line("path number", "x", number=12),
}
BAD = {
    "no slash at all": "a line is",
    "/video": "a line is",
    "jump/": "needs a name",
    "jump/..": "below the data root",
    "jump/.avi": "needs a name",
    "../../etc/passwd": "has no slash",
    "../passwd": "no '.' or '..'",
    "./video": "no '.' or '..'",
    "a\\b/video": "has no slash",
    "jump/..\\..\\secret": "below the data root",
    "jump/C:secret": "relative to the data root",
    "train0//../secret.mp4": "below the data root",
    "train0///etc/passwd": "relative to the data root",
    "train0//C:\\secret.mp4": "relative to the data root",
    "train0//videos\\..\\..\\secret.mp4": "below the data root",
    "train0//": "needs a name",
    "train0//./": "needs a name",
    "../frames/x 45 8": "below the data root",
    "/ 45 8": "needs a name",
    "jump/vi\0deo": "control character",
    "jump/" + "x" * 1000: "at most 1000",
    "video " + "9" * 10: "a line is",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_line_says_what_it_says(text: str) -> None:
    assert parse(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_line_is_told(text: str) -> None:
    with pytest.raises(BadLine) as caught:
        parse(text)
    assert BAD[text] in str(caught.value)


def test_without_numbers_a_video_may_end_in_one() -> None:
    assert parse("jump/take 2", numbers=False) == Line("class/video", "take 2", "jump")
    assert parse("jump/take 2").form == "path number"


def test_no_line_of_hostile_pieces_leaves_the_root() -> None:
    pieces = ["..", ".", "", "/", "\\", "//", "C:", "train1", "~", "$(rm)", "[a]*", "-rf", "x.mp4", " 1 2", ",3", "\0"]
    lines = {a + b + c + d for a in pieces for b in pieces for c in pieces for d in pieces} - {""}
    kept = 0
    for text in lines:
        try:
            line = parse(text)
        except BadLine:
            continue
        kept += 1
        parts = line.hint.split("/") if line.hint else []
        assert ".." not in parts
        assert not any(part == "" or "\\" in part for part in parts)
        assert line.hint[1:2] != ":"
        assert line.video not in ("", ".", "..")
        assert not {"/", "\\", "\0"} & {*line.video, *line.label}
        assert line.label not in (".", "..")
    assert 1000 < kept < len(lines)
