"""Recipes: the settings of the tutorials, what they make, and what is refused."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.recipes import MODELS, OPTIMIZERS, RECIPES, Settings, build, recipe, schedule_of


def test_the_recipe_of_gorgonia_is_that_of_its_tutorial():
    settings = recipe()
    model, loss, optimizer = build(settings)
    assert (type(optimizer), optimizer.lr, optimizer.decay, optimizer.eps) == (fc.RMSprop, 0.001, 0.999, 1e-8)
    assert (settings.batch_size, model.name, settings.targets, settings.scaling) == (
        100, "gorgonia", "soft", "gorgonia",
    )  # fmt: skip
    assert isinstance(loss, fc.CrossEntropyLoss) and loss.reduction == "mean_elements"


def test_the_recipe_of_mxnet_is_that_of_its_tutorial():
    settings = recipe("mxnet-scratch")
    model, loss, optimizer = build(settings)
    assert (type(optimizer), optimizer.lr, optimizer.momentum) == (fc.SGD, 0.01, 0)
    assert (settings.batch_size, settings.targets, settings.scaling) == (64, "one-hot", "unit")
    assert isinstance(loss, fc.CrossEntropyLoss) and loss.reduction == "sum"
    assert sum(parameter.size for parameter in model.parameters()) == 20 * 9 + 20 + 50 * 500 + 50 + 128 * 801 + 10 * 129


def test_every_model_has_a_recipe_of_its_name():
    for name in MODELS:
        assert RECIPES[name].model == name and RECIPES[name].epochs == 10
        assert build(RECIPES[name])[0](np.zeros((1, 1, 28, 28), np.float32)).shape == (1, 10)


def test_the_fast_recipe_is_one_epoch_of_gorgonias_network_without_its_dropout():
    settings = recipe("fast")
    assert (settings.model, settings.epochs, settings.dropout) == ("gorgonia", 1, False)
    model, loss, optimizer = build(settings)
    parts = (gorgonia := fc.models.gorgonia(dropout=False)).state_dict()
    assert model.state_dict().keys() == parts.keys() and len(model.layers) == len(gorgonia.layers)
    assert loss.reduction == "mean" and type(optimizer) is fc.Adam
    schedule = schedule_of(settings, 60_000)
    rates = [schedule(step) for step in range(600)]
    assert max(rates) == pytest.approx(settings.lr) and rates.index(max(rates)) == 119
    assert rates[-1] < 1e-6 * settings.lr * 10 and min(rates) > 0


@pytest.mark.parametrize(("name", "kind"), [("one-cycle", fc.OneCycleLR), ("cosine", fc.CosineAnnealingLR)])
def test_a_schedule_goes_over_the_steps_of_all_epochs_the_last_small_batches_included(name, kind):
    schedule = schedule_of(recipe(schedule=name, epochs=3, batch_size=100), samples=250)
    assert type(schedule) is kind and 9 in vars(schedule).values()


def test_a_constant_rate_needs_no_schedule():
    assert schedule_of(recipe(), 60_000) is None


def test_the_settings_reach_model_loss_and_optimizer():
    changes = {"dtype": "float64", "loss": "product", "reduction": "sum", "seed": 9, "optimizer": "sgd", "lr": 0.5}
    changes |= {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3, "l1": 1e-4, "clip_norm": 2.0}
    model, loss, optimizer = build(recipe(**changes))
    assert (model.dtype, model.seed) == (np.float64, 9)
    assert isinstance(loss, fc.ProductLoss) and loss.reduction == "sum"
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov) == (0.5, 0.9, True)
    assert (optimizer.weight_decay, optimizer.l1, optimizer.clip_norm) == (1e-3, 1e-4, 2.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_another_optimizer_comes_with_its_usual_settings(name):
    optimizer = build(recipe("gorgonia", optimizer=name))[2]
    assert type(optimizer).__name__.lower() == name
    assert optimizer.lr == (0.01 if name == "sgd" else 0.001)
    assert optimizer.weight_decay == (0.01 if name == "adamw" else 0)
    assert build(recipe("gorgonia", optimizer=name, lr=0.7, weight_decay=0.5))[2].lr == 0.7


def test_eps_reaches_the_optimizers_that_have_one():
    for name in ("rmsprop", "adam", "adamw"):
        assert build(recipe(optimizer=name, eps=0.25))[2].eps == 0.25


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"epochs": -1}, {"epochs": 1.5}, {"batch_size": 0}, {"limit": 0}, {"seed": -1},
        {"loss": "hinge"}, {"model": "resnet"}, {"optimizer": "lion"}, {"loss": ["product"]},
        {"lr": float("nan")}, {"lr": "0.1"}, {"eps": 0}, {"decay": 1}, {"dtype": "int8"}, {"reduction": "none"},
        {"reduction": "avg"}, {"scaling": "z"}, {"epochs": None}, {"seed": None}, {"shuffle": "no"},
        {"targets": "hard"}, {"momentum": -0.1}, {"momentum": 1}, {"momentum": 0.5}, {"nesterov": True},
        {"nesterov": 1}, {"schedule": "step"}, {"warmup": 0}, {"warmup": 1}, {"dropout": "no"},
        {"weight_decay": -1}, {"l1": float("inf")}, {"clip_norm": 0}, {"clip_norm": "1"},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong):
    [name] = wrong
    with pytest.raises(fc.ConfigError, match=f"settings: {name} must "):
        Settings(**wrong)


def test_dropout_can_be_left_out_where_there_is_some():
    assert not any(isinstance(layer, fc.Dropout) for layer in build(recipe(dropout=False))[0].layers)
    with pytest.raises(fc.ConfigError, match="dropout must be True with lenet5, which has none to leave out"):
        recipe("lenet5", dropout=False)


def test_a_loss_that_needs_soft_targets_is_refused_without():
    with pytest.raises(fc.ConfigError, match="targets must be soft with the log-product loss, got 'one-hot'"):
        Settings(loss="log-product", targets="one-hot")


def test_an_unknown_recipe_is_refused():
    with pytest.raises(fc.ConfigError, match=r"recipe must be one of gorgonia, .*, fast, got 'alexnet'"):
        recipe("alexnet")
