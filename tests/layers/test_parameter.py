"""Parameters and arenas: when values are drawn, where they lie, what stays theirs."""

import threading
import time

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.layers.parameter import Arena, flat_runs


def normal(shape, generator, dtype):
    return generator.standard_normal(shape).astype(dtype)


def expected_draw(seed, index, shape):
    return np.random.Generator(np.random.Philox(key=[seed, index])).standard_normal(shape)


def test_each_parameter_is_drawn_from_its_own_counter():
    first, second = fc.Parameter((2, 3), normal), fc.Parameter((4,), normal)
    Arena([first, second], "float64", seed=5)
    np.testing.assert_array_equal(second.data, expected_draw(5, 1, (4,)))
    np.testing.assert_array_equal(first.data, expected_draw(5, 0, (2, 3)))


def test_a_parameter_alone_is_float32_and_drawn_with_seed_zero():
    parameter = fc.Parameter((3,), normal)
    np.testing.assert_array_equal(parameter.data, expected_draw(0, 0, 3).astype(np.float32))
    assert parameter.data.dtype == np.float32


def test_values_and_gradients_are_views_into_the_arena():
    parameters = [fc.Parameter((2, 2)), fc.Parameter((3,))]
    arena = Arena(parameters)
    parameters[1].data[...] = 1
    parameters[1].grad[...] = 2
    np.testing.assert_array_equal(arena.data, [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(arena.grad, [0, 0, 0, 0, 2, 2, 2])


def test_values_that_were_set_move_along_into_another_arena():
    parameter = fc.Parameter((2,), normal)
    parameter.data = [1.5, 2.5]
    Arena([parameter], "float64", seed=1)  # nobody looks at this one
    Arena([parameter], "float64", seed=2)
    np.testing.assert_array_equal(parameter.data, [1.5, 2.5])
    assert parameter.data.dtype == np.float64


def test_values_that_nobody_saw_are_drawn_by_the_last_arena():
    parameter = fc.Parameter((2,), normal)
    Arena([parameter], "float32", seed=1)
    Arena([parameter], "float64", seed=2)
    np.testing.assert_array_equal(parameter.data, expected_draw(2, 0, 2))


def test_neighbours_in_an_arena_come_as_one_run():
    parameters = [fc.Parameter((2, 2)), fc.Parameter((3,)), fc.Parameter((1,))]
    arena = Arena(parameters)
    [(data, grad)] = flat_runs(parameters)
    assert np.shares_memory(data, arena.data)
    assert data.size == grad.size == 8


def test_strangers_and_gaps_make_runs_of_their_own():
    one, two, three, stranger = (fc.Parameter((size,)) for size in (1, 2, 3, 4))
    Arena([one, two, three])
    assert [data.size for data, _ in flat_runs([one, three, stranger])] == [1, 3, 4]
    assert [data.size for data, _ in flat_runs([stranger, two, three])] == [4, 5]


def test_neighbouring_places_in_two_arenas_are_no_neighbours():
    one, two, three = (fc.Parameter((1,)) for _ in range(3))
    Arena([one])
    Arena([two, three])
    assert [data.size for data, _ in flat_runs([one, three])] == [1, 1]


def test_assignment_copies_in_place():
    parameter = fc.Parameter((2,))
    view = parameter.data
    parameter.data = np.array([3, 4])
    np.testing.assert_array_equal(view, [3, 4])


def test_assignment_of_another_shape_is_refused():
    parameter = fc.Parameter((2, 3), name="conv1.weight")
    with pytest.raises(fc.ShapeError, match=r"conv1.weight.data: expected shape \(2, 3\), got \(3,\)"):
        parameter.data = np.zeros(3)


def test_a_size_of_zero_is_refused():
    with pytest.raises(fc.ConfigError, match="each size of the shape must be a whole number >= 1, got 0"):
        fc.Parameter((3, 0))


def test_a_product_of_sizes_beyond_memory_is_refused():
    with pytest.raises(fc.ShapeError, match="more entries than memory can hold"):
        fc.Linear(2**40, 2**40)


@pytest.mark.parametrize("together", [True, False])
def test_many_threads_may_be_the_first_to_look(together):
    def slow(shape, generator, dtype):
        time.sleep(0.005)
        return normal(shape, generator, dtype)

    parameters = [fc.Parameter((3,), slow) for _ in range(4)]
    if together:
        Arena(parameters)
    start, seen = threading.Barrier(8), []

    def look():
        start.wait()
        for parameter in parameters:
            parameter.data += 0
            seen.append((parameter, parameter.data))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 * 4
    assert all(np.shares_memory(data, parameter.data) and data.all() for parameter, data in seen)


def test_an_initialiser_that_fails_loses_no_values():
    def broken(shape, generator, dtype):
        raise RuntimeError

    kept, other = fc.Parameter((2,)), fc.Parameter((2,), broken)
    kept.data = [1, 2]
    arena = Arena([kept, other])
    with pytest.raises(RuntimeError):
        arena.allocate()
    Arena([kept])
    np.testing.assert_array_equal(kept.data, [1, 2])


def test_a_parameter_used_twice_is_refused():
    parameter = fc.Parameter((3,))
    with pytest.raises(fc.ConfigError, match="used twice"):
        Arena([parameter, parameter])
    parameter.data = [1, 2, 3]  # and is none the worse for it


@pytest.mark.parametrize("shape", [3, None, np.array(3)], ids=repr)
def test_a_shape_that_is_no_tuple_is_refused(shape):
    with pytest.raises(fc.ConfigError, match=r"parameter: shape must be a tuple, such as \(3,\) for three values, got"):
        fc.Parameter(shape)


@pytest.mark.parametrize("init", [fc.init.he_normal, "he", 0.1, None], ids=repr)
def test_an_init_that_is_no_function_is_refused(init):
    with pytest.raises(fc.ConfigError, match=r"init must be a function such as fastcnn.init.he_normal\(\), got"):
        fc.Parameter((3, 2), init)


def test_a_layer_refuses_an_initialiser_without_brackets():
    with pytest.raises(
        fc.ConfigError, match=r"weight: init must be a function .*, got <class 'fastcnn.init.he_normal'>"
    ):
        fc.Linear(3, 2, weight_init=fc.init.he_normal)
