"""What every operation asks of its arguments, some sixty times a training step: a part of _core.pyx, which includes it.

`fastcnn.backends.arrays` and `fastcnn.backends.shapes` pass these functions on, beside what is asked for less often.
"""

from operator import index

from fastcnn.errors import DTypeError, ShapeError


def checked(who, name, array, dtype=None):
    """`array`, if it is one of `dtype`, or of float32 or float64 where none is given."""
    if not isinstance(array, cnp.ndarray):
        raise DTypeError(f"{who}: {name} must be a NumPy array, got {type(array).__name__}")
    if not cnp.PyArray_CheckExact(array):
        unmasked(who, name, array)
    cdef int kind = cnp.PyArray_TYPE(array)
    if (kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64) or not cnp.PyArray_ISNOTSWAPPED(array):
        raise DTypeError(f"{who}: {name} must be float32 or float64, got {array.dtype}; convert it with .astype")
    if dtype is not None and array.dtype is not dtype and array.dtype != dtype:
        raise DTypeError(
            f"{who}: {name} is {array.dtype} but its partner is {dtype}; convert one of them with .astype")
    return array


def unmasked(who, name, values):
    """A DTypeError if an array is, or a list holds, one of numpy.ma: kernels don't know of masks."""
    if isinstance(values, np.ma.MaskedArray) or (
            isinstance(values, list | tuple) and any(isinstance(value, np.ma.MaskedArray) for value in values)):
        raise DTypeError(
            f"{who}: {name} must be a plain array, got a masked one, whose mask would be lost; "
            "fill it first, as by .filled(0)")


def plain(cnp.ndarray array):
    """`array` as the kernels take it, C-contiguous and aligned: itself, or a copy. Shapes are checked before."""
    if cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_ISALIGNED(array):
        return array
    return np.array(array, order="C", copy=True, subok=False)


def same_shape(who, name, array, tuple expected, partner, *shapes):
    """A ShapeError unless `array` has the shape that its `partner` asks for: words, with {} where `shapes` go."""
    if array.shape != expected:
        raise ShapeError(f"{who}: expected {name} {expected} to match {partner.format(*shapes)}, got {array.shape}")


def updatable(who, tuple names, tuple arrays):
    """An error unless all of these arrays can be updated in place, side by side: of one dtype and shape, each apart."""
    first = arrays[0]
    for name, array in zip(names, arrays):
        checked(who, name, array, None if array is first else first.dtype)
        # a contiguous copy would be lost
        if not (cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_ISALIGNED(array)
                and cnp.PyArray_ISWRITEABLE(array)):
            raise ShapeError(f"{who}: {name} is updated in place: it must be C-contiguous, aligned and writeable")
        same_shape(who, name, array, first.shape, f"{names[0]} {{}}", first.shape)
    for i in range(1, len(arrays)):
        for j in range(i):
            if overlap(arrays[i], arrays[j]):
                raise ShapeError(
                    f"{who}: {names[j]} and {names[i]} overlap, and both are updated; pass separate arrays")


def pair(value, name, who):
    """`value` as (height, width): an int stands for both.

    Raises:
        ShapeError: if it is neither an int nor a pair of ints.
    """
    if type(value) is tuple and len(value) == 2 and type(value[0]) is int and type(value[1]) is int:  # as layers do
        return value
    try:
        if isinstance(value, tuple | list):
            height, width = value
            return index(height), index(width)
        return index(value), index(value)
    except (TypeError, ValueError):
        raise ShapeError(f"{who}: {name} must be an int or a pair of ints, got {value!r}") from None


def dims(shape, int rank, name, layout, who):
    """`shape` as a tuple of `rank` ints, or a ShapeError that names the layout."""
    cdef tuple sizes
    try:
        sizes = tuple([size if type(size) is int else index(size) for size in shape])
    except TypeError:
        raise ShapeError(f"{who}: {name} must be a shape {layout}, got {shape!r}") from None
    if len(sizes) != rank:
        raise ShapeError(f"{who}: {name} must have shape {layout}, got {sizes}")
    return sizes


def overlap(cnp.ndarray a, cnp.ndarray b):
    """Whether two C-contiguous arrays share memory."""
    cdef char *start = cnp.PyArray_BYTES(a)
    cdef char *other = cnp.PyArray_BYTES(b)
    return start < other + cnp.PyArray_NBYTES(b) and other < start + cnp.PyArray_NBYTES(a)
