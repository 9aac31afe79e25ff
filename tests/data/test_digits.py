"""mnist_style makes one picture of all the ways to draw a digit, and leaves MNIST as it is."""

import drawings
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFilter

from fastcnn.data import load_dataset, mnist_style
from fastcnn.errors import DataError, DTypeError, ShapeError


def box_of(digit):
    """Top, left, height and width of what is not black."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    return rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1


def likeness(*digits):
    """Correlation of two digits, seen a little out of focus: where the strokes are, not their edges."""
    blurred = [Image.fromarray(digit).filter(ImageFilter.GaussianBlur(1.5)) for digit in digits]
    return np.corrcoef(*map(np.ravel, blurred))[0, 1]


PLAIN = {digit: mnist_style(np.asarray(drawings.inverted(digit))) for digit in range(10)}


@pytest.mark.parametrize("style", drawings.STYLES, ids=lambda style: style.__name__)
@pytest.mark.parametrize("digit", range(10))
def test_a_digit_looks_like_itself_and_no_other_in_every_style(digit, style):
    result = mnist_style(np.asarray(style(digit)))
    assert result.shape == (28, 28) and result.dtype == np.uint8 and result.max() == 255
    alike = [likeness(result, PLAIN[other]) for other in range(10)]
    assert np.argmax(alike) == digit and alike[digit] > 0.85


@pytest.mark.parametrize("style", drawings.STYLES, ids=lambda style: style.__name__)
@pytest.mark.parametrize("digit", [0, 4, 7])
def test_the_box_is_20_high_and_the_centre_of_mass_in_the_middle(digit, style):
    result = mnist_style(np.asarray(style(digit)))
    assert box_of(result)[2] == 20
    for axis in (0, 1):
        mass = result.sum(axis=1 - axis)
        assert abs(mass @ np.arange(28) / mass.sum() - 14) <= 0.51


def test_mnist_comes_out_much_as_it_went_in():
    images = load_dataset("sample").test_images[:300, 0]
    again = np.array([mnist_style(image) for image in images])
    assert np.mean([likeness(*pair) > 0.99 for pair in zip(images, again, strict=True)]) > 0.95
    assert np.mean([box_of(a) == box_of(b) for a, b in zip(images, again, strict=True)]) > 0.9


def test_what_was_bilevel_stays_as_it_is_to_the_last_bit():
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 12:16] = 255
    digit[4:7, 6:16] = 255
    digit = mnist_style(digit)
    np.testing.assert_array_equal(mnist_style(digit), digit)
    np.testing.assert_array_equal(mnist_style(255 - digit), digit)
    np.testing.assert_array_equal(mnist_style(np.pad(digit, ((0, 50), (9, 0)))), digit)
    enlarged = mnist_style(digit.repeat(3, axis=0).repeat(3, axis=1)).astype(int)
    np.testing.assert_allclose(enlarged, digit, atol=26)


def test_grey_colour_and_opacity_say_the_same():
    grey = np.asarray(drawings.off_centre(5))
    expected = mnist_style(grey)
    colour = np.stack([grey] * 3, axis=-1)
    opaque = np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=-1)
    ink = np.zeros_like(opaque)
    ink[..., 3] = 255 - grey
    for image in (colour, opaque, ink):
        np.testing.assert_allclose(mnist_style(image).astype(int), expected, atol=2)


def test_white_on_nothing_is_seen_too():
    black = np.asarray(drawings.transparent(3))
    white = black.copy()
    white[..., :3] = 255
    np.testing.assert_allclose(mnist_style(white).astype(int), mnist_style(black), atol=1)


def test_a_wide_digit_is_20_wide():
    picture = np.full((40, 100), 255, np.uint8)
    picture[15:25, 10:90] = 0
    assert box_of(mnist_style(picture))[2:] == (2, 20)


def test_a_digit_of_uneven_mass_stays_within_the_field():
    picture = np.zeros((200, 200), np.uint8)
    picture[20:180, 60:66] = 255
    picture[20:80, 30:96] = 255
    assert box_of(mnist_style(picture))[2] == 20


def test_strokes_as_thin_as_a_hair_become_as_wide_as_a_pen():
    hair = inked_area(mnist_style(np.asarray(drawings.inked(drawings.coverage(2, (900, 900), 2, 600), 255, 0))))
    assert 0.7 < hair / inked_area(PLAIN[2]) < 1.5


def inked_area(digit):
    return (digit / 255).sum()


def test_dust_is_no_part_of_the_digit():
    picture = np.array(drawings.off_centre(8))
    picture[3, 390] = picture[290, 380] = 0
    picture[10:12, 200:202] = 0
    assert likeness(mnist_style(picture), PLAIN[8]) > 0.9


@pytest.mark.parametrize("place", [(0.04, 0.06), (0.3, 0.6), (0.95, 0.95)])
@pytest.mark.parametrize(("digit", "pen"), [(2, 5), (9, 5), (1, 20), (8, 16)])
def test_a_small_digit_anywhere_in_a_large_picture_is_found(digit, pen, place):
    picture = np.full((2000, 1600), 255, np.uint8)
    height, width = 70, 60
    top, left = int(place[0] * 1930), int(place[1] * 1540)
    drawn = np.asarray(drawings.inked(drawings.coverage(digit, (width, height), pen, 60 - pen), 255, 0))
    picture[top : top + height, left : left + width] = drawn
    np.testing.assert_allclose(mnist_style(picture).astype(int), mnist_style(drawn), atol=8)


def test_a_close_up_shows_enough_of_the_paper():
    picture = np.full((2000, 1600), 255, np.uint8)
    picture[160:320, 160:224] = 0  # all ink, but for a corner
    picture[160:192, 160:192] = 255
    assert likeness(mnist_style(picture), mnist_style(picture[100:400, 100:300])) > 0.98


def test_a_digit_may_be_in_pieces():
    picture = np.full((120, 120), 255, np.uint8)
    picture[30:36, 50:80] = 0  # the bar of a 5, apart from the rest
    picture[44:94, 46:52] = picture[88:94, 46:80] = 0
    result = mnist_style(picture)
    top, _, height, _ = box_of(result)
    assert height == 20
    assert result[top].max() > 200 and result[top + 3].max() == 0 and result[top + 5].max() > 200


def test_strong_grain_does_not_hide_a_digit():
    rng = np.random.default_rng(0)
    for digit in range(10):
        mask = np.asarray(drawings.coverage(digit, (240, 240), pen=11, height=150)) / 255
        picture = (190 - 110 * mask + rng.normal(0, 20, mask.shape)).clip(0, 255).astype(np.uint8)
        result = mnist_style(picture)
        assert np.argmax([likeness(result, PLAIN[other]) for other in range(10)]) == digit


def test_a_digit_that_fills_its_picture_is_seen():
    for digit in range(10):
        picture = np.asarray(drawings.coverage(digit, (200, 200), pen=16, height=120))
        top, left, height, width = box_of(picture)
        result = mnist_style(255 - picture[top : top + height, left : left + width])
        assert likeness(result, PLAIN[digit]) > 0.85


def test_a_digit_out_of_focus_is_seen():
    blurred = drawings.inked(drawings.coverage(6, (200, 200), 10, 120), 230, 60).filter(ImageFilter.GaussianBlur(3))
    assert likeness(mnist_style(np.asarray(blurred)), PLAIN[6]) > 0.85


def uneven(height, width):
    return np.linspace(90, 200, width, dtype=np.uint8)[np.newaxis].repeat(height, axis=0)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((28, 28), np.uint8),
        np.full((300, 200, 3), 255, np.uint8),
        np.full((50, 50, 4), 0, np.uint8),
        np.full((50, 50, 4), 255, np.uint8),
        np.full((1, 1), 7, np.uint8),
        np.random.default_rng(0).integers(0, 10, (90, 90)).astype(np.uint8),
        np.random.default_rng(0).normal(128, 25, (200, 200)).clip(0, 255).astype(np.uint8),
        np.random.default_rng(0).normal(128, 60, (100, 100)).clip(0, 255).astype(np.uint8),
        uneven(90, 120),
    ],
    ids=["black", "white", "nothing", "opaque", "one pixel", "faint noise", "noise", "strong noise", "uneven light"],
)
def test_a_blank_image_is_refused(image):
    with pytest.raises(DataError, match=r"expected a digit on a plain background, got no ink that stands out"):
        mnist_style(image)


def test_other_arrays_are_refused():
    with pytest.raises(DTypeError, match="expected a uint8 image, got float64"):
        mnist_style(np.zeros((28, 28)))
    for shape in ((28,), (3, 28, 28), (28, 28, 1), (1, 28, 28, 3), (0, 5), (5, 0, 3)):
        with pytest.raises(ShapeError, match="expected an image"):
            mnist_style(np.zeros(shape, np.uint8))


@given(
    image=hnp.arrays(
        np.uint8,
        st.one_of(
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
            st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([3, 4])),
        ),
    )
)
@example(image=np.eye(2, dtype=np.uint8) * 255)
@example(image=np.arange(200, dtype=np.uint8)[np.newaxis])
def test_any_image_gives_a_digit_or_a_refusal(image):
    try:
        digit = mnist_style(image)
    except DataError:
        return
    assert digit.shape == (28, 28) and digit.max() == 255


def test_a_view_that_is_not_contiguous_will_do():
    picture = np.asarray(drawings.coloured(2))
    np.testing.assert_array_equal(mnist_style(np.asfortranarray(picture)), mnist_style(picture))
    turned = np.asarray(Image.fromarray(picture).transpose(Image.Transpose.TRANSPOSE))
    np.testing.assert_array_equal(mnist_style(picture.transpose(1, 0, 2)), mnist_style(turned))


def seven():
    """A 7 in dark ink on grey paper."""
    paper = np.full((200, 200), 200, np.uint8)
    paper[50:64, 70:130] = paper[50:150, 116:130] = 30
    return paper


def test_a_narrow_shadow_is_no_ink():
    picture = seven()
    picture[:, 80:110] //= 2
    assert np.abs(mnist_style(picture).astype(int) - mnist_style(seven())).mean() < 4


def test_a_fold_is_no_ink():
    picture = seven()
    picture[:, 99:101] = np.minimum(picture[:, 99:101], 120)
    picture[:99] = np.minimum(picture[:99], 190)
    assert np.abs(mnist_style(picture).astype(int) - mnist_style(seven())).mean() < 4


def test_a_turned_sheet_on_a_lighter_desk():
    sheet = np.dstack([seven(), np.full((200, 200), 255, np.uint8)])
    turned = Image.fromarray(sheet).rotate(6, expand=True)
    desk = Image.new("L", (320, 320), 250)
    desk.paste(turned.getchannel(0), (45, 45), turned.getchannel(1))
    alone = Image.fromarray(seven()).rotate(6, fillcolor=200)
    assert np.abs(mnist_style(np.asarray(desk)).astype(int) - mnist_style(np.asarray(alone))).mean() < 4
