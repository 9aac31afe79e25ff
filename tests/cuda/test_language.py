"""The words of kernels, and what makes kernels of functions."""

import pytest

from fastcnn.backends.cuda import language
from fastcnn.backends.cuda.language import (
    Kernel,
    cuda,
    exp,
    float32,
    float64,
    inline,
    kernel,
    pointer,
    spoken,
    uint32,
)


@kernel(threads=lambda real, width=2: 32 * width)
def scale(real, width=2):
    """For the tests."""

    def body(x: pointer(real), factor: real, count: uint32):
        return width * factor + count

    return body


def test_a_kernel_is_made_once_for_each_set_of_constants():
    assert scale(float32) is scale(float32)
    assert scale(float32) is not scale(float64)
    assert scale(float32, 3) is not scale(float32)


def test_a_kernel_knows_its_name_threads_and_arguments():
    made = scale(float32, width=3)
    assert repr(made) == "Kernel(scale(real=float32, width=3))"
    assert made.threads == 96
    assert made.arguments == (pointer(float32), float32, uint32)


def test_defaults_are_constants_too():
    assert scale(float32).name == "scale(real=float32, width=2)"


def test_each_argument_of_a_kernel_needs_a_type():
    with pytest.raises(TypeError, match="each argument of a kernel needs a type"):
        kernel(threads=32)(lambda: lambda x: None)()


def test_pointers_to_one_type_are_one():
    assert pointer(float32) is pointer(float32)
    assert pointer(float32) is not pointer(float64)


@inline
def twice(x):
    return x + x


def test_words_and_inlined_functions_mean_nothing_outside_kernels():
    with pytest.raises(TypeError, match="float32\\(\\) means something inside GPU kernels only"):
        float32(3)
    with pytest.raises(TypeError, match="twice\\(\\) means something inside GPU kernels only"):
        twice(3)
    with pytest.raises(AttributeError):
        cuda.syncthreads()


def test_words_have_the_names_of_types_and_functions():
    assert [repr(word) for word in (*language.TYPES, *language.FUNCTIONS)] == [
        *("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("exp", "log", "sqrt", "tanh"),
    ]


MEANINGS = {float32: lambda x: ("float32", x), exp: lambda x: ("exp", x)}


def test_words_among_globals_get_their_meanings():
    def body(x):
        return exp(float32(x))

    assert spoken(body, dict(MEANINGS), lambda function: function)(3) == ("exp", ("float32", 3))


def test_words_among_the_constants_of_a_closure_get_their_meanings():
    def make(real, by):
        def body(x):
            return real(x), by

        return body

    assert spoken(make(float32, 7), dict(MEANINGS), lambda function: function)(3) == (("float32", 3), 7)


def test_inlined_functions_are_translated_too_each_once():
    real, seen = float32, []

    @inline
    def converted(x):
        return real(twice(x))

    def body(x):
        return converted(x), converted(twice(x))

    def remember(function):
        seen.append(function.__name__)
        return function

    assert spoken(body, dict(MEANINGS), remember)(3) == (("float32", 6), ("float32", 12))
    assert sorted(seen) == ["converted", "twice"]


def test_the_function_itself_is_left_alone():
    def body(x):
        return float32(x)

    spoken(body, dict(MEANINGS), lambda function: function)
    with pytest.raises(TypeError):
        body(3)


def test_other_globals_keep_what_they_are():
    def body():
        return len((1, 2)), Kernel

    assert spoken(body, {}, lambda function: function)() == (2, Kernel)
