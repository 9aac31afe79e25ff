"""Pixels become numbers as Gorgonia makes them, or on the unit scale; labels become 0.9 and 0.1."""

import numpy as np
import pytest

from fastcnn.data import load_dataset, pixel_table, scale_pixels, soft_targets
from fastcnn.errors import ConfigError, DataError, DTypeError


def test_gorgonia_pixels_are_computed_one_by_one_in_float64():
    expected = [px / 255 * 0.9 + 0.1 for px in range(255)] + [0.999]
    assert pixel_table("gorgonia", "float64").tolist() == expected


def test_unit_pixels_run_from_0_to_1():
    assert pixel_table("unit", "float64").tolist() == [px / 255 for px in range(256)]


def test_standard_pixels_have_mean_0_and_deviation_1_over_the_digits():
    assert pixel_table("standard", "float64").tolist() == [(px / 255 - 0.1307) / 0.3081 for px in range(256)]
    pixels = scale_pixels(load_dataset("sample").train_images, "standard", "float64")
    assert abs(pixels.mean()) < 0.01 and abs(pixels.std() - 1) < 0.01


@pytest.mark.parametrize("scaling", ["gorgonia", "unit", "standard"])
def test_float32_is_the_rounded_float64(scaling):
    table = pixel_table(scaling, np.float32)
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, pixel_table(scaling, np.float64).astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("float32")])
def test_scaling_looks_each_pixel_up(dtype):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 5, 4), np.uint8).transpose(0, 1, 3, 2)
    scaled = scale_pixels(images, "gorgonia", dtype)
    assert scaled.dtype == dtype and scaled.flags.c_contiguous
    np.testing.assert_array_equal(scaled, pixel_table("gorgonia", dtype)[images])


def test_soft_targets_are_9_tenths_at_the_label():
    targets = soft_targets(np.array([2, 0], np.uint8), "float32", classes=3)
    np.testing.assert_array_equal(targets, np.array([[0.1, 0.1, 0.9], [0.9, 0.1, 0.1]], np.float32))
    assert targets.dtype == np.float32
    assert soft_targets(np.array([], np.int64), "float64").shape == (0, 10)


@pytest.mark.parametrize("value", [-1, 10])
def test_a_label_out_of_range_is_named_with_its_index(value):
    with pytest.raises(DataError, match=rf"expected labels 0 to 9, got {value} at index 1 \(1 of 3"):
        soft_targets(np.array([0, value, 3]), "float64")


def test_wrong_settings_and_types_are_named():
    with pytest.raises(ConfigError, match="got 'percent'"):
        pixel_table("percent", "float32")
    for dtype in ("float16", np.int64, "nonsense"):
        with pytest.raises(DTypeError, match="expected dtype float32 or float64"):
            pixel_table("unit", dtype)
    with pytest.raises(DTypeError, match="expected uint8 images, got float64"):
        scale_pixels(np.zeros((1, 1, 2, 2)), "unit", "float32")
    with pytest.raises(DTypeError, match="expected integer labels, got float64"):
        soft_targets(np.zeros(3), "float32")
    with pytest.raises(DataError, match=r"got shape \(3, 1\)"):
        soft_targets(np.zeros((3, 1), int), "float32")
