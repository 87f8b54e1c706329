"""The signed image files found again among pictures of a document."""

import io

from PIL import Image

from mingzheng.formats.claims import image_digest
from mingzheng.formats.signedimages import BLANK_IMAGE, CANDIDATES_MAX, SignedImages, find_signed, png_around

PHOTO, HAND = b"a photo", b"a hand"


def test_the_pair_of_the_digest_is_found_in_any_order() -> None:
    digest = image_digest(PHOTO, HAND)
    wanted = SignedImages(photo=PHOTO, signature=HAND)
    assert find_signed([b"x", HAND, PHOTO], digest) == wanted
    assert find_signed([PHOTO], digest) is None
    assert find_signed([PHOTO], image_digest(PHOTO, None)) == SignedImages(photo=PHOTO, signature=None)
    assert find_signed([], image_digest(None, None)) == SignedImages(photo=None, signature=None)


def test_only_so_many_files_are_tried() -> None:
    files = [bytes([at]) for at in range(CANDIDATES_MAX)] + [PHOTO]
    assert find_signed(files, image_digest(PHOTO, None)) is None
    assert find_signed(files[1:], image_digest(PHOTO, None)) is not None


def test_a_png_is_put_together_around_its_data() -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    whole = buffer.getvalue()
    at = whole.index(b"IDAT")
    coded = whole[at + 4 : at + 4 + int.from_bytes(whole[at - 4 : at])]
    assert png_around(coded, width=256, height=256, bits_per_pixel=8) == whole
    assert png_around(coded, width=0, height=256, bits_per_pixel=8) is None
    assert png_around(coded, width=9, height=9, bits_per_pixel=7) is None
    rgb = png_around(b"x", width=1, height=1, bits_per_pixel=24)
    assert rgb is not None
    assert rgb[25] == 2


def test_the_blank_image_is_white() -> None:
    picture = Image.open(io.BytesIO(BLANK_IMAGE))
    assert (picture.size, picture.getpixel((0, 0))) == ((1, 1), 255)
