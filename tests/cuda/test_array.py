"""Arrays on the device: shapes, rows, copies; and those of other libraries, taken and given without a copy."""

import ctypes
import gc
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastcnn as fc
from fastcnn.backends.cuda import exchange, updates
from fastcnn.backends.cuda.array import DeviceArray, empty, to_device
from fastcnn.errors import DTypeError, ShapeError

DEVICES = ("first thread first",)  # whose memory is that of the host, so that tests can look into it


@pytest.fixture(autouse=True)
def everywhere(device):
    """All tests here need a device."""


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 3, 4)], ids=str)
def test_what_was_sent_comes_back(shape, dtype):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    array = to_device(values)
    assert_array_equal(array.numpy(), values)
    assert (array.shape, array.dtype, array.ndim) == (shape, np.dtype(dtype), len(shape))
    assert (array.size, array.nbytes) == (values.size, values.nbytes)
    assert repr(array) == f"DeviceArray(shape={shape}, dtype={dtype})"


def test_what_is_sent_or_read_is_a_copy():
    values = np.zeros(3)
    array = to_device(values)
    values[0] = 1
    array.numpy()[1] = 1
    assert_array_equal(array.numpy(), np.zeros(3))


def test_arrays_of_any_layout_and_lists_are_sent():
    values = np.arange(12.0).reshape(3, 4)
    assert_array_equal(to_device(values.T).numpy(), values.T)
    assert_array_equal(to_device(values[::-1, ::2]).numpy(), values[::-1, ::2])
    assert_array_equal(to_device([[1.0, 2.0]]).numpy(), [[1, 2]])


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([None]), np.array([1j]), np.array([True])], ids=str)
def test_elements_that_kernels_do_not_know_are_refused(values):
    with pytest.raises(DTypeError, match=f"to_device: elements of type {values.dtype} are not supported"):
        to_device(values)


def test_an_array_of_the_device_is_returned_as_it_is():
    array = to_device(np.zeros(3))
    assert to_device(array) is array


def test_a_copy_has_memory_of_its_own():
    array = to_device(np.arange(3.0))
    copy = array[1:].copy()
    array.write(np.zeros(3))
    assert_array_equal(copy.numpy(), [1, 2])
    assert empty((0, 3), np.float32).copy().shape == (0, 3)


@pytest.mark.parametrize("shape", [(6, 4), (-1,), (2, -1, 3), (24, 1)], ids=str)
def test_another_shape_is_a_view(shape):
    values = np.arange(24.0).reshape(2, 3, 4)
    array = to_device(values)
    assert_array_equal(array.reshape(shape).numpy(), values.reshape(shape))
    assert_array_equal(array.reshape(*shape).numpy(), values.reshape(shape))
    array.reshape(list(shape)).write(np.zeros((2, 3, 4)).reshape(shape))
    assert_array_equal(array.numpy(), np.zeros((2, 3, 4)))


@pytest.mark.parametrize("shape", [(5,), (7, -1), (-1, -1)], ids=str)
def test_a_shape_that_does_not_fit_is_refused(shape):
    with pytest.raises(ShapeError, match=r"DeviceArray\.reshape: \(2, 3\) does not fit"):
        to_device(np.zeros((2, 3))).reshape(shape)


@pytest.mark.parametrize("rows", [slice(1, 3), slice(None), slice(-2, None), slice(3, 1), slice(2, 99), slice(0, 5, 1)])
def test_rows_are_a_view(rows):
    values = np.arange(15.0).reshape(5, 3)
    array = to_device(values)
    assert_array_equal(array[rows].numpy(), values[rows])
    array[rows].write(np.zeros(values[rows].shape))
    values[rows] = 0
    assert_array_equal(array.numpy(), values)
    assert len(array[rows]) == len(values[rows])


def test_rows_of_rows_count_from_their_first():
    assert_array_equal(to_device(np.arange(10.0))[2:8][1:3].numpy(), [3, 4])


@pytest.mark.parametrize("rows", [3, slice(0, 5, 2), slice(None, None, -1), (slice(1), slice(1)), None, ...], ids=str)
def test_what_does_not_lie_side_by_side_cannot_be_taken(rows):
    with pytest.raises(ShapeError, match=r"only rows that lie side by side can be taken, as in a\[3:5\], got"):
        to_device(np.zeros((5, 3)))[rows]


def test_an_array_without_axes_has_no_rows():
    with pytest.raises(ShapeError):
        to_device(np.float64(3))[:]


def test_values_of_another_shape_are_not_written():
    with pytest.raises(ShapeError, match=r"DeviceArray\.write: expected shape \(2, 3\), got \(3, 2\)"):
        to_device(np.zeros((2, 3))).write(np.zeros((3, 2)))


def test_more_elements_than_kernels_count_are_refused():
    with pytest.raises(
        ShapeError, match="has 2,147,483,648 elements; the GPU takes 2,147,483,647, use a smaller batch"
    ):
        empty((2**16, 2**15), np.uint8)


def test_arrays_overlap_where_they_share_bytes():
    array, other = to_device(np.zeros((6, 2))), to_device(np.zeros((6, 2)))
    assert array.overlaps(array) and array[1:4].overlaps(array[3:])
    assert not array[:3].overlaps(array[3:]) and not array.overlaps(other)
    assert not array[3:3].overlaps(array[:3])


# ---- other libraries -------------------------------------------------------------------------------------------------


class Foreign:
    """An array of another library, in the memory of the test's device; ``interface`` says what is special about it."""

    def __init__(self, values, **interface):
        self.values = values
        self.__cuda_array_interface__ = {
            "shape": values.shape,
            "typestr": values.dtype.str,
            "data": (values.ctypes.data, False),
            "version": 3,
            **interface,
        }


class Packed:
    """An array of another library that speaks DLPack alone."""

    def __init__(self, values):
        self.values = values

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()

    def __dlpack__(self):
        return self.values.__dlpack__()


@pytest.mark.parametrize("kind", [Foreign, Packed])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (3, 0)], ids=str)
def test_arrays_of_other_libraries_share_their_memory(kind, dtype, shape):
    values = np.ones(shape, dtype)
    array = to_device(kind(values))
    assert (array.shape, array.dtype) == (shape, values.dtype)
    values *= 3
    assert_array_equal(array.numpy(), values)
    array.write(np.full(shape, 5))
    assert_array_equal(values, np.full(shape, 5))


@pytest.mark.parametrize("kind", [Foreign, Packed])
def test_kernels_and_views_work_on_shared_memory(kind):
    values = np.zeros((4, 2))
    array = to_device(kind(values))
    updates.sgd_update(array[1:3], to_device(np.ones((2, 2))), 1.0)
    assert_array_equal(values, [[0, 0], [-1, -1], [-1, -1], [0, 0]])
    assert array.overlaps(to_device(kind(values[1:]))) and not array[:1].overlaps(to_device(kind(values[1:])))


@pytest.mark.parametrize("kind", [Foreign, Packed])
def test_the_owner_is_kept_while_the_array_is(kind):
    values = np.arange(3.0)
    alive = weakref.ref(values)
    array = to_device(kind(values))[1:]
    del values
    gc.collect()
    assert alive() is not None
    assert_array_equal(array.numpy(), [1, 2])
    del array
    gc.collect()
    assert alive() is None


def test_the_streams_of_others_are_waited_for(device):
    to_device(Foreign(np.zeros(3), stream=None))
    assert device.finished == []
    to_device(Foreign(np.zeros(3), stream=1234))
    to_device(Packed(np.zeros(3)))
    assert device.finished == [1234, exchange.LEGACY_STREAM]


@pytest.mark.parametrize("strides", [(24, 8), None, (24, 8.0)])
def test_strides_may_say_that_rows_lie_side_by_side(strides):
    assert to_device(Foreign(np.zeros((2, 3)), strides=strides)).shape == (2, 3)


def test_strides_of_axes_of_one_place_do_not_matter():
    assert to_device(Foreign(np.zeros((1, 3)), strides=(999, 8))).shape == (1, 3)
    assert to_device(Packed(np.zeros((3, 1)).T)).shape == (1, 3)


@pytest.mark.parametrize(
    "foreign",
    [Foreign(np.zeros((2, 3)), strides=(8, 16)), Packed(np.zeros((3, 2)).T), Packed(np.zeros((4, 6))[:, ::2])],
    ids=["interface", "transposed", "every second"],
)
def test_what_is_not_contiguous_is_refused(foreign):
    with pytest.raises(ShapeError, match=r"must be C-contiguous, got steps .*; copy it first"):
        to_device(foreign)


@pytest.mark.parametrize(
    "foreign",
    [
        Foreign(np.zeros(3), typestr=">f8"),
        Foreign(np.zeros(3), typestr="<c16"),
        Foreign(np.zeros(3), mask=np.zeros(3)),
        Foreign(np.zeros(3), data=(1, True)),
        Packed(np.zeros(3, complex)),
        Packed(np.zeros(3, bool)),
    ],
    ids=["byte order", "complex", "masked", "read-only", "DLPack's complex", "DLPack's bool"],
)
def test_elements_that_cannot_be_shared_are_refused(foreign):
    with pytest.raises(DTypeError, match="to_device: "):
        to_device(foreign)


def test_an_array_that_lies_nowhere_is_refused():
    with pytest.raises(ShapeError, match="that lies nowhere"):
        to_device(Foreign(np.zeros(3), data=(0, False)))


def test_more_shared_elements_than_kernels_count_are_refused():
    with pytest.raises(ShapeError, match="the GPU takes"):
        to_device(Foreign(np.zeros(1), shape=(2**31,)))


def test_arrays_of_other_devices_are_copied():
    class Elsewhere(Packed):
        def __dlpack_device__(self):
            return (7, 3)

        def __array__(self, dtype=None, copy=None):
            return self.values

    values = np.arange(3.0)
    array = to_device(Elsewhere(values))
    values[0] = 9
    assert_array_equal(array.numpy(), [0, 1, 2])


def test_the_interface_of_cuda_describes_the_array(device):
    array = to_device(np.arange(12.0, dtype=np.float32).reshape(4, 3))[1:]
    interface = array.__cuda_array_interface__
    assert device.finished == [None]  # what was asked for is done
    assert (interface["shape"], interface["typestr"], interface["version"]) == ((3, 3), "<f4", 3)
    assert interface["strides"] is interface["stream"] is None
    address, read_only = interface["data"]
    assert not read_only
    assert_array_equal(np.frombuffer((ctypes.c_float * 9).from_address(address), np.float32), np.arange(3.0, 12.0))
    assert empty((0, 3), np.float32).__cuda_array_interface__["data"] == (0, False)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (3, 0)], ids=str)
def test_other_libraries_share_memory_through_dlpack(dtype, shape, device):
    array = to_device(np.ones(shape, dtype))
    taken = np.from_dlpack(array)
    assert device.finished == [None]
    assert (taken.shape, taken.dtype) == (shape, array.dtype)
    array.write(np.full(shape, 7))
    assert_array_equal(taken, np.full(shape, 7))


def test_dlpack_gives_a_copy_when_asked_for_one():
    array = to_device(np.ones(3))
    taken = np.from_dlpack(array, copy=True)
    array.write(np.zeros(3))
    assert_array_equal(taken, np.ones(3))


def test_dlpack_gives_to_no_other_device():
    with pytest.raises(BufferError, match=r"lies on DLPack's device \(1, 0\), not on \(2, 0\)"):
        to_device(np.ones(3)).__dlpack__(dl_device=(2, 0))


def test_memory_is_kept_while_somebody_holds_what_dlpack_gave():
    array = to_device(np.arange(3.0))
    taken = np.from_dlpack(array)
    del array
    gc.collect()
    assert len(exchange._given) == 1
    assert_array_equal(taken, [0, 1, 2])
    del taken
    gc.collect()
    assert exchange._given == {}


def test_what_nobody_takes_is_let_go():
    capsule = to_device(np.arange(3.0)).__dlpack__()
    assert len(exchange._given) == 1
    del capsule
    gc.collect()
    assert exchange._given == {}


def test_an_array_comes_back_through_both_ways_as_the_same_memory():
    array = to_device(np.arange(4.0))

    class Interface:
        __cuda_array_interface__ = array.__cuda_array_interface__

    for other in (to_device(Interface()), to_device(Packed(array))):
        assert isinstance(other, DeviceArray) and other.address == array.address


# ---- arrays of others, as they are -----------------------------------------------------------------------------------


class Tensor:
    """As PyTorch's: of one type, wherever it lies."""

    def __init__(self, values, on_gpu=True):
        self.values = values
        self.on_gpu = on_gpu

    @property
    def __cuda_array_interface__(self):
        if not self.on_gpu:
            raise AttributeError("lies on the host")
        return Foreign(self.values).__cuda_array_interface__

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_operations_take_arrays_of_other_libraries():
    x, weight = np.arange(6.0).reshape(2, 3), np.ones((1, 3))
    expected = x.sum(axis=1, keepdims=True)
    for first, second in ((Tensor(x), Tensor(weight)), (to_device(x), Tensor(weight))):
        y = fc.ops.linear(first, second)
        assert isinstance(y, DeviceArray)
        assert_array_equal(y.numpy(), expected)
    out = np.zeros((1, 3))
    fc.ops.linear_backward(Tensor(np.ones((2, 1))), to_device(x), Tensor(weight), out=Tensor(out))
    assert_array_equal(out[0], x.sum(axis=0))
    assert_array_equal(fc.ops.concat([Tensor(x), to_device(x)], axis=0).numpy(), np.concatenate([x, x]))
    fc.ops.sgd_update(Tensor(x), Tensor(np.ones((2, 3))), 1.0)
    assert x[0, 0] == -1


def test_models_losses_and_parameters_take_arrays_of_other_libraries():
    model = fc.Sequential(fc.Linear(3, 2), dtype="float64").to("cuda")
    x, target = np.arange(6.0).reshape(2, 3), np.array([0, 1])
    expected = model(to_device(x)).numpy()
    y = model(Tensor(x))
    assert isinstance(y, DeviceArray)
    assert_array_equal(y.numpy(), expected)
    assert_array_equal(model.layers[0](Tensor(x)).numpy(), expected)
    loss = fc.CrossEntropyLoss()
    assert loss(Tensor(expected), Tensor(target)) == loss(y, target)
    optimizer = fc.SGD(model.parameters(), 0.1)
    costs = [fc.train_step(model, loss, optimizer, Tensor(x), given) for given in (Tensor(target), target)]
    assert costs[0] > costs[1]
    model.parameters()[0].data = Tensor(np.ones((2, 3)))
    assert_array_equal(model.parameters()[0].data.numpy(), np.ones((2, 3)))


def test_arrays_of_other_libraries_on_the_host_are_none_of_the_gpu():
    x = np.arange(6.0).reshape(2, 3)
    with pytest.raises(DTypeError, match=r"linear: .* Tensor"):
        fc.ops.linear(Tensor(x, on_gpu=False), np.ones((1, 3)))
    model = fc.Sequential(fc.Linear(3, 2), dtype="float64")
    assert_array_equal(model(Tensor(x, on_gpu=False)), model(x))
