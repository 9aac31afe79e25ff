"""curves.png: a picture that shows what it was given, and an error where there is nothing to show."""

import sys

import numpy as np
import pytest
from PIL import Image
from tiny_training import tiny_arrays, tiny_trainer

import fastcnn as fc
from fastcnn.plots import draw_curves
from fastcnn.trainer import History

BLUE, ORANGE = (0x1F, 0x5F, 0xA8), (0xD9, 0x5F, 0x02)


def epochs(count, **columns):
    return [{"epoch": epoch} | {name: values[epoch - 1] for name, values in columns.items()}
            for epoch in range(1, count + 1)]  # fmt: skip


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def count_of(picture, color):
    return int((picture == color).all(axis=-1).sum())


@pytest.fixture
def path(tmp_path):
    pytest.importorskip("matplotlib")
    return tmp_path / "curves.png"


def test_loss_and_accuracy_stand_side_by_side(path):
    rows = epochs(3, cost=[0.5, 0.3, 0.2], test_cost=[0.4, 0.3, 0.3], moving_loss=[0.5, 0.4, 0.3],
                  train_accuracy=[0.8, 0.9, 0.95], test_accuracy=[0.8, 0.92, 0.91])  # fmt: skip
    draw_curves(path, rows, "a run")
    picture = pixels(path)
    assert picture.shape == (630, 1500, 3)
    for half in (picture[:, :750], picture[:, 750:]):
        assert count_of(half, BLUE) > 500 and count_of(half, ORANGE) > 500


def test_a_single_epoch_is_seen(path):
    draw_curves(path, epochs(1, cost=[-0.5], test_accuracy=[0.1]))
    picture = pixels(path)
    assert count_of(picture[:, :750], BLUE) > 50 and count_of(picture[:, 750:], ORANGE) > 50


def test_what_is_missing_or_none_is_not_drawn(path):
    draw_curves(path, epochs(2, cost=[1.0, 0.5], test_cost=[None, None]))
    picture = pixels(path)
    assert count_of(picture, ORANGE) == 0 and count_of(picture[:, 750:], BLUE) == 0


def test_the_same_curves_are_the_same_file(path, tmp_path):
    rows = epochs(40, cost=[1 / (epoch + 1) for epoch in range(40)])
    draw_curves(path, rows)
    draw_curves(tmp_path / "other.png", rows)
    assert path.read_bytes() == (tmp_path / "other.png").read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"curves.png", "other.png"}


def test_a_history_is_drawn_as_the_mappings_of_its_epochs(path, tmp_path):
    history = tiny_trainer().fit(*tiny_arrays(30), epochs=2, validation=tiny_arrays(10, seed=1))
    draw_curves(path, history)
    draw_curves(tmp_path / "other.png", [vars(metrics) for metrics in history])
    assert path.read_bytes() == (tmp_path / "other.png").read_bytes()
    assert count_of(pixels(path), ORANGE) > 100


def test_nothing_to_draw_is_an_error(path):
    for nothing in ([], History()):
        with pytest.raises(fc.DataError, match="expected at least one epoch, got none; train first"):
            draw_curves(path, nothing)


@pytest.mark.parametrize("wrong", ["curves.png", [0.5, 0.3], [{"cost": 0.5}]])
def test_what_is_no_history_is_refused_with_what_to_pass(path, wrong):
    with pytest.raises(fc.DataError, match=r"expected a history, or a dict for each epoch .*; pass what Trainer.fit"):
        draw_curves(path, wrong)
    assert not path.exists()


@pytest.mark.parametrize("title", ["a $b$_{ c", "\x1b[31m \udcff \U0001f4a9 \u4e2d", "a\nb"], ids=ascii)
def test_any_title_will_do(path, title):
    draw_curves(path, epochs(1, cost=[1.0]), title)
    assert pixels(path).shape == (630, 1500, 3)


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(fc.ConfigError, match=r"needs matplotlib .*pip install 'fastcnn\[plot\]'"):
        draw_curves(tmp_path / "curves.png", epochs(1, cost=[1.0]))
