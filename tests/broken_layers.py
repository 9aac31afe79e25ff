"""A right layer, mistakes to make in it, and what `fc.gradcheck` says to them: for its tests."""

import pytest

import fastcnn as fc


class Scale(fc.Layer):
    """Right, in every promise; the layers below break one each."""

    def __init__(self, features=3, start=fc.init.ones, name=None):
        self.name = name
        self.factor = fc.Parameter((features,), start)

    def forward(self, x, training):
        def backward(dy):
            self.factor.grad = (dy * x).sum(axis=0)
            return dy * self.factor.data

        return x * self.factor.data, backward


def broken(change):
    """A `Scale` whose backward gives what ``change(layer, x, dx)`` makes of it."""

    class Broken(Scale):
        def forward(self, x, training):
            y, backward = super().forward(x, training)
            return y, lambda dy: change(self, x, backward(dy))

    return Broken


def add_at(array, entry, value):
    array[entry] += value
    return array


def wrong_entry_of_dx(layer, x, dx):
    return add_at(dx, (-1, 1), 0.5)


def wrong_entry_of_factor(layer, x, dx):
    layer.factor.grad[2] += 0.5
    return dx


def mean_for_sum(layer, x, dx):
    layer.factor.grad /= len(x)
    return dx


def other_sign(layer, x, dx):
    return -dx


def reported(layer, shape, **settings):
    """The message of the one error that this gives."""
    with pytest.raises(fc.GradientError) as error:
        fc.gradcheck(layer, shape, **settings)
    return str(error.value)


class Product(fc.Layer):
    """Of two arrays."""

    takes_many = True

    def __init__(self, error=0.0, parts=2):
        self.error, self.parts = error, parts

    def forward(self, x, training):
        a, b = x
        return a * b, lambda dy: (dy * b, dy * a * (1 + self.error), dy)[: self.parts]
