"""save_png writes what read_images reads; a contact sheet shows each image with what is known of it."""

import os

import numpy as np
import pytest
from PIL import Image

from fastcnn.data import contact_sheet, load_dataset, read_images, save_png, soft_targets
from fastcnn.data.png import WRONG
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError

GREY = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4
SAMPLE = load_dataset("sample")
IMAGES, LABELS = SAMPLE.test_images[:7], SAMPLE.test_labels[:7]
TARGETS = soft_targets(LABELS, "float32")


def saved(path, images):
    save_png(path, images)
    (image,) = read_images(path)
    return image


@pytest.mark.parametrize("array", [GREY, np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)])
def test_an_image_is_read_back_to_the_bit(tmp_path, array):
    np.testing.assert_array_equal(saved(tmp_path / "a.png", array), array)


@pytest.mark.parametrize("array", [GREY[None], np.stack([GREY, 255 - GREY, GREY // 2])], ids=["grey", "colour"])
def test_an_image_with_its_channels_first_is_one_too(tmp_path, array):
    np.testing.assert_array_equal(saved(tmp_path / "a.png", array), array.transpose(1, 2, 0).squeeze())
    np.testing.assert_array_equal(contact_sheet(array, [3]), contact_sheet(array[None], [3]))


@pytest.mark.parametrize("channels", [1, 3])
def test_many_images_become_a_square(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 4, 6), np.uint8)
    picture = saved(tmp_path / "a.png", images).reshape(8, 18, channels)
    for index, image in enumerate(images):
        top, left = index // 3 * 4, index % 3 * 6
        np.testing.assert_array_equal(picture[top : top + 4, left : left + 6].transpose(2, 0, 1), image)
    assert not picture[4:, 12:].any()


def test_equal_images_give_equal_files_whatever_the_name(tmp_path):
    save_png(tmp_path / "a.png", GREY.T)
    save_png(str(tmp_path / "b"), np.ascontiguousarray(GREY.T))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(DTypeError, match="expected uint8 images, got float64"):
        save_png(tmp_path / "a.png", GREY / 255)
    for shape in ((5,), (4, 5, 2), (2, 28, 28), (2, 2, 5, 5), (0, 1, 5, 5), (0, 5)):
        with pytest.raises(ShapeError, match=r"expected images \(H, W\)"):
            save_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    for draw in (lambda x: save_png(tmp_path / "a.png", x), contact_sheet):
        with pytest.raises(ShapeError, match=r"got shape \(7, 28, 28\); pass images\[:, np.newaxis\] if they are grey"):
            draw(IMAGES[:, 0])
        with pytest.raises(DTypeError, match="expected uint8 images, got list; pass the unscaled bytes"):
            draw([[1, 2], [3, 4]])
    with pytest.raises(DataError, match=r"cannot be written \(.+\); choose another path"):
        save_png(tmp_path / "absent" / "a.png", GREY)
    assert os.listdir(tmp_path) == []


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path, monkeypatch):
    save_png(tmp_path / "a.png", GREY)
    before = (tmp_path / "a.png").read_bytes()

    def stop_halfway(self, file, form):
        file.write(b"half a pic")
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", stop_halfway)
    with pytest.raises(DataError, match=r"cannot be written \(no space left\)"):
        save_png(tmp_path / "a.png", GREY)
    assert (tmp_path / "a.png").read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


def colours(picture):
    return {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


def has_picture_at(sheet, image, left, top, times=4):
    expected = image[0].repeat(times, axis=0).repeat(times, axis=1)
    height, width = expected.shape
    return (sheet[top : top + height, left : left + width] == expected[..., np.newaxis]).all()


def test_a_sheet_shows_each_image_enlarged_and_nothing_else_if_nothing_is_known():
    sheet = contact_sheet(IMAGES, columns=4)
    assert sheet.shape == (10 + 2 * 122, 10 + 4 * 122, 3) and sheet.dtype == np.uint8
    for index, image in enumerate(IMAGES):
        left, top = 10 + index % 4 * 122, 10 + index // 4 * 122
        assert has_picture_at(sheet, image, left, top)
        sheet[top : top + 112, left : left + 112] = 255
    assert colours(sheet) == {(255, 255, 255)}


@pytest.mark.parametrize(
    ("known", "one", "other"),
    [
        ("labels", 3, 4),
        ("predictions", 3, 4),
        ("notes", "here", "there"),
        ("targets", [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]),
        ("targets", [0.1] * 11 + [0.9], [0.1] * 10 + [0.9, 0.1]),
    ],
)
def test_what_is_known_is_written_beside_or_below_the_image(known, one, other):
    bare = contact_sheet(IMAGES[:1])
    sheets = [contact_sheet(IMAGES[:1], **{known: [value]}) for value in (one, one, other)]
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()
    for sheet in sheets:
        assert has_picture_at(sheet, IMAGES[0], 10, 10)
        assert sheet.size > bare.size


def test_a_label_vector_stands_below_its_image_and_a_label_beside_it():
    sheet = contact_sheet(IMAGES[:1], targets=TARGETS[:1])
    assert (sheet[122:138] < 255).any() and (sheet[:122, 122:] == 255).all()
    sheet = contact_sheet(IMAGES[:1], LABELS[:1])
    assert (sheet[10:40, 122:] < 255).any() and (sheet[122:] == 255).all()


def test_the_largest_number_of_a_label_vector_is_black_and_the_others_grey():
    first, second = np.hsplit(contact_sheet(IMAGES[:1], targets=[[0.1, 0.9]])[122:, 10:58], 2)
    assert second.min() < 60 < first.min() < 200


def test_a_line_holds_ten_numbers():
    shapes = [contact_sheet(IMAGES[:1], targets=np.eye(classes)[:1]).shape for classes in (10, 11, 20, 21)]
    assert [height - shapes[0][0] for height, _, _ in shapes] == [0, 16, 16, 32]
    assert len({width for _, width, _ in shapes}) == 1
    two_lines = contact_sheet(IMAGES[:1], targets=np.eye(11)[:1])
    assert (two_lines[122 + 18 : 122 + 32, 10:34] < 255).any()


def test_only_wrong_predictions_are_red():
    predictions = LABELS.copy()
    assert WRONG not in colours(contact_sheet(IMAGES, LABELS, TARGETS, predictions))
    predictions[2] = (predictions[2] + 1) % 10
    sheet = contact_sheet(IMAGES, LABELS, TARGETS, predictions, columns=1)
    height = (sheet.shape[0] - 10) // len(IMAGES)
    red = [WRONG in colours(sheet[10 + index * height : 10 + (index + 1) * height]) for index in range(len(IMAGES))]
    assert red == [index == 2 for index in range(len(IMAGES))]
    assert WRONG not in colours(contact_sheet(IMAGES, predictions=predictions))


def test_without_columns_a_sheet_is_about_as_wide_as_high():
    height, width, _ = contact_sheet(SAMPLE.test_images[:60], SAMPLE.test_labels[:60]).shape
    assert 0.7 < width / height < 1.4


def test_colour_images_and_large_ones_are_shown_too():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 150, 20), np.uint8)
    sheet = contact_sheet(images, columns=2)
    np.testing.assert_array_equal(sheet[10:160, 10:30], images[0].transpose(1, 2, 0))


def test_what_does_not_fit_together_is_named():
    for known in ({"labels": LABELS[:3]}, {"targets": LABELS}, {"predictions": TARGETS}, {"notes": ["one"]}):
        (name,) = known
        with pytest.raises(ShapeError, match=f"expected {name} for 7 images, got shape"):
            contact_sheet(IMAGES, **known)
    with pytest.raises(ShapeError, match=r"expected images \(C, H, W\) or \(N, C, H, W\)"):
        contact_sheet(IMAGES[:, 0])
    with pytest.raises(DTypeError, match="got float64"):
        contact_sheet(IMAGES / 255)
    with pytest.raises(ConfigError, match="columns must be a whole number >= 1, got 0"):
        contact_sheet(IMAGES, columns=0)
