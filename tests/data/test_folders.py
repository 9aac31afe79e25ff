"""Data folders as people have them: read for what they are, or refused by a line that says so, and the remedy."""

import gzip
import os
import shlex
import shutil
import struct
import subprocess
import sys
import zipfile
from itertools import count

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import train
from fastcnn.data import folder as search
from fastcnn.data import load_dataset, save_png, write_idx
from fastcnn.errors import DataError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
SAMPLE = load_dataset("sample")
ARRAYS = (
    SAMPLE.train_images[:40, 0], SAMPLE.train_labels[:40], SAMPLE.test_images[:20, 0], SAMPLE.test_labels[:20],
)  # fmt: skip
PAGE = b"<!DOCTYPE HTML PUBLIC>\n<html><head><title>403 Forbidden</title></head></html>"


def idx(array, kind="u1", order=">"):
    """The bytes of an IDX file, of any element type and byte order."""
    head = struct.pack(f"{order}4B{array.ndim}I", 0, 0, CODES[kind], array.ndim, *array.shape)
    return head + array.astype(order + kind).tobytes()


HERE = os.path.split(__file__)


def put(folder, names=NAMES, arrays=ARRAYS, pack=gzip.compress, write=idx):
    for name, array in zip(names, arrays, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(write(array)))


def plain(content):
    return content


def spelt(pattern, train="train", test="t10k", images="images-idx3-ubyte", labels="labels-idx1-ubyte"):
    return [pattern.format(f"{part}-{what}") for part in (train, test) for what in (images, labels)]


def changed(images=lambda x: x, labels=lambda x: x):
    return [change(array) for change, array in zip((images, labels) * 2, ARRAYS, strict=True)]


def qmnist(labels):
    columns = np.arange(labels.size * 8).reshape(-1, 8) * 1000
    columns[:, 0] = labels
    return columns


def of_type(kind, order=">"):
    """Writes labels so, images as bytes."""
    return lambda array: idx(array, kind if array.ndim != 3 else "u1", order)


def turned(x):
    return x.swapaxes(1, 2)


FOUND = {
    "a browser's second download": lambda f: put(f, spelt("{} (1).gz")),
    "a browser's, the mark before the suffix": lambda f: put(f, spelt("{}(2).gz")),
    "wget's second download": lambda f: put(f, spelt("{}.gz.1")),
    "Windows's copy": lambda f: put(f, spelt("{} - Copy.gz")),
    "a copy in German": lambda f: put(f, spelt("{} - Kopie (2).gz")),
    "a download manager's": lambda f: put(f, spelt("{}_1.gz")),
    "7-Zip's folders beside the files": lambda f: put(f, [f"{name}~/{name}" for name in NAMES]),
    "macOS's copy": lambda f: put(f, spelt("{} copy 2"), pack=plain),
    "gz without gzip": lambda f: put(f, spelt("{}.gz"), pack=plain),
    "gzip without gz": lambda f: put(f),
    "capitals": lambda f: put(f, [name.upper() for name in NAMES]),
    "test for t10k": lambda f: put(f, spelt("{}.gz", test="test")),
    "no idx": lambda f: put(f, spelt("{}.gz", images="images", labels="labels")),
    "underscores": lambda f: put(f, [name.replace("-", "_") for name in NAMES]),
    "7-Zip's folders": lambda f: put(f, [f"{name}/{name.replace('-idx', '.idx')}" for name in NAMES], pack=plain),
    "torchvision's": lambda f: put(f, [f"MNIST/raw/{name}" for name in NAMES], pack=plain),
    "torchvision's, packed ones beside": lambda f: (
        put(f, spelt("MNIST/raw/{}"), pack=plain),
        put(f, spelt("MNIST/raw/{}.gz"), changed(lambda x: x[::-1])),
    ),
    "Kaggle's, each file twice": lambda f: (
        put(f, [f"archive/{name.replace('-idx', '.idx')}" for name in NAMES], pack=plain),
        put(f, [f"archive/{name}/{name}" for name in NAMES], changed(lambda x: x[::-1]), pack=plain),
    ),
    "a folder a part": lambda f: put(f, [f"{('train', 'test')[i // 2]}/{name}" for i, name in enumerate(NAMES)]),
    "folders that say the part": lambda f: put(
        f, [f"{p}/{w}" for p in ("training", "test") for w in ("images", "labels")]
    ),
    "macOS's archive": lambda f: (put(f / "data"), put(f / "__MACOSX", [f"._{name}" for name in NAMES])),
    "the good one before its copy": lambda f: (put(f), put(f, spelt("{} (1)"), changed(lambda x: x[::-1]))),
    "QMNIST's": lambda f: put(
        f,
        spelt("qmnist-{}.gz", test="test", labels="labels-idx2-int"),
        changed(labels=qmnist),
        write=of_type("i4"),
    ),
    "QMNIST's, renamed": lambda f: put(f, arrays=changed(labels=qmnist), write=of_type("i4")),
    "EMNIST's, which lie transposed": lambda f: put(f, spelt("emnist-digits-{}.gz", test="test"), changed(turned)),
    **{f"labels of {kind}": lambda f, kind=kind: put(f, write=of_type(kind)) for kind in CODES},
    "labels (N, 1)": lambda f: put(f, arrays=changed(labels=lambda y: y[:, None])),
    "images (N, 1, H, W)": lambda f: put(f, arrays=changed(lambda x: x[:, None])),
    "images (N, H, W, 1)": lambda f: put(f, arrays=changed(lambda x: x[..., None])),
    "images of int32": lambda f: put(f, write=lambda array: idx(array, "i4")),
    "a link to itself": lambda f: (put(f / "MNIST" / "raw"), (f / "MNIST" / "raw" / "again").symlink_to(f / "MNIST")),
}


@pytest.mark.parametrize("make", FOUND.values(), ids=FOUND)
def test_a_folder_as_people_have_it_is_read(tmp_path, make):
    make(tmp_path)
    data = load_dataset(data_dir=tmp_path)
    loaded = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for got, expected in zip(loaded, ARRAYS, strict=True):
        assert got.dtype == np.uint8 and got.flags.c_contiguous
        np.testing.assert_array_equal(got, expected[:, None] if expected.ndim == 3 else expected)
    assert data.classes == 10 and "\n" not in data.origin


def zip_of(folder, name="mnist.zip"):
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("train-images-idx3-ubyte", idx(ARRAYS[0]))


def fifo(folder):
    put(folder)
    (folder / NAMES[0]).unlink()
    os.mkfifo(folder / NAMES[0])


def device(folder):
    put(folder)
    (folder / NAMES[1]).unlink()
    (folder / NAMES[1]).symlink_to("/dev/zero")


def two_copies(folder):
    put(folder, spelt("{} (1).gz"))
    put(folder, [f"{NAMES[0]} (2).gz"], ARRAYS[:1])


LITTLE = "little-endian"
REFUSED = {
    "a web page": (lambda f: put(f, pack=lambda _: PAGE), ["a web page", "fetch the file again"]),
    "a web page, packed": (lambda f: put(f, pack=lambda _: gzip.compress(PAGE)), ["a web page"]),
    "gzip in gzip": (lambda f: put(f, pack=lambda x: gzip.compress(gzip.compress(x))), ["gzip inside gzip", "gunzip"]),
    "colour NHWC": (lambda f: put(f, arrays=changed(lambda x: x[..., None].repeat(3, 3))), ["colour", "mean(axis=3)"]),
    "colour NCHW": (lambda f: put(f, arrays=changed(lambda x: x[:, None].repeat(3, 1))), ["colour", "mean(axis=1)"]),
    "flat images": (lambda f: put(f, arrays=changed(lambda x: x.reshape(-1, 784))), ["(40, 784)", "reshape"]),
    "images for labels": (lambda f: put(f, arrays=[ARRAYS[0], ARRAYS[0], *ARRAYS[2:]]), ["these are images"]),
    "labels for images": (lambda f: put(f, arrays=[ARRAYS[1], ARRAYS[1], *ARRAYS[2:]]), ["these are labels"]),
    "one-hot labels": (lambda f: put(f, arrays=changed(labels=np.eye(10)[:, :].__getitem__)), ["argmax(axis=1)"]),
    "labels with halves": (lambda f: put(f, arrays=changed(labels=lambda y: y + 0.5), write=of_type("f4")), ["6.5"]),
    "labels of NaN": (lambda f: put(f, arrays=changed(labels=lambda y: y * np.nan), write=of_type("f4")), ["nan"]),
    "labels below 0": (lambda f: put(f, arrays=changed(labels=lambda y: y - 1.0), write=of_type("i2")), ["-1"]),
    "labels of 1000": (lambda f: put(f, arrays=changed(labels=lambda y: y + 1000.0), write=of_type("i4")), ["1006"]),
    "labels of 100": (lambda f: put(f, arrays=changed(labels=lambda y: y + 94)), ["0 to 99, got 100 at index 0"]),
    "images of floats": (
        lambda f: put(f, arrays=changed(lambda x: x / 255), write=lambda a: idx(a, "f4" if a.ndim == 3 else "u1")),
        ["0 to 255", "255 * array"],
    ),
    "little-endian sizes": (lambda f: put(f, write=lambda a: idx(a, order="<")), [LITTLE, "(40,)"]),
    "little-endian header": (
        lambda f: put(f, write=lambda a: bytes([a.ndim, 8, 0, 0]) + idx(a, order="<")[4:]),
        [LITTLE],
    ),
    "little-endian labels": (
        lambda f: put(f, write=lambda a: idx(a, "i4")[:8] + a.astype("<i4").tobytes() if a.ndim == 1 else idx(a)),
        [LITTLE],
    ),
    "a zip archive": (zip_of, ["'mnist.zip' (a zip archive)", "unpack it"]),
    "an unfinished download": (lambda f: put(f, spelt("{}.crdownload")), ["(a download that is not finished)"]),
    "an error as text": (lambda f: put(f, pack=lambda _: b'{"error": 404}'), ["got 7b 22 65 72: text; look what"]),
    "a packed pickle": (lambda f: (f / "mnist.pkl.gz").write_bytes(gzip.compress(b"\x80\x03")), ["a pickle"]),
    "a link to nothing": (lambda f: (f / NAMES[0]).symlink_to("absent"), [f"'{NAMES[0]}' (a link to nothing)"]),
    "a packed tar": (lambda f: shutil.make_archive(f / "m", "gztar", *HERE), ["'m.tar.gz' (a tar archive)", "unpack"]),
    "a zip called gz": (lambda f: (put(f), zip_of(f, NAMES[0])), ["a zip archive; unpack it"]),
    "7z": (lambda f: (f / "m.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(99)), ["a 7-Zip archive", "unpack"]),
    "rar": (lambda f: (f / "m.rar").write_bytes(b"Rar!\x1a\x07" + bytes(99)), ["a RAR archive", "unpack"]),
    "tar": (lambda f: shutil.make_archive(f / "m", "tar", *HERE), ["a tar archive"]),
    "a pointer of Git LFS": (lambda f: put(f, pack=lambda _: b"version https://git-lfs.github.com/"), ["git lfs pull"]),
    "a FIFO": (fifo, [f"'{NAMES[0]}' (a pipe (FIFO))", f"got no {NAMES[0]};"]),
    "a device": (device, [f"'{NAMES[1]}' (a device)", f"got no {NAMES[1]};"]),
    "two copies": (two_copies, ["training images", " (1).gz' and ", " (2).gz'"]),
    "two data sets": (lambda f: (put(f / "MNIST/raw"), put(f / "Fashion/raw")), ["/MNIST/raw'", "/Fashion/raw'"]),
    "EMNIST's splits": (
        lambda f: [put(f, spelt(f"emnist-{s}-{{}}.gz", test="test")) for s in ("letters", "digits")],
        ["/emnist-digits', ", "/emnist-letters'", "name one of these"],
    ),
    "no test labels": (
        lambda f: (put(f), (f / NAMES[3]).unlink()),
        [f"got no {NAMES[3]};", f"'{NAMES[0]}' (training images)", f"'{NAMES[2]}' (test images)"],
    ),
    "an unknown name": (
        lambda f: (f / "digits.bin").write_bytes(idx(ARRAYS[0])),
        ["'digits.bin' (IDX, of a name", "give the files these names"],
    ),
    "x and y": (lambda f: put(f, ["x_train", "y_train", "x_test", "y_test"]), ["give the files these names"]),
    "zeros": (lambda f: (f / "test_batch.bin").write_bytes(bytes(3073)), ["'test_batch.bin' (unknown)"]),
    "only the test": (lambda f: put(f, NAMES[2:], ARRAYS[2:]), ["put what is missing beside the others"]),
    "PyTorch's": (lambda f: (f / "a.pt").write_bytes(b"PK\3\4" + bytes(26) + b"a/data.pkl"), ["torch.save"]),
    "Arrow": (lambda f: (f / "data.arrow").write_bytes(b"ARROW1\0\0"), ["an Arrow table"]),
    "an empty folder": (lambda f: None, ["it holds no files"]),
    "too few to hold back": (lambda f: put(f, NAMES[:2], [a[:5] for a in ARRAYS[:2]]), ["at least 6 images", "got 5"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_will_not_do_is_told_from_others(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=tmp_path)
    message = str(caught.value)
    assert all(part in message for part in says), message
    assert "; " in message and "\n" not in message and str(tmp_path) in message


@pytest.mark.parametrize(("make", "says"), [*((make, []) for make in FOUND.values()), *REFUSED.values()])
def test_the_command_line_says_the_same(tmp_path, capsys, make, says):
    make(tmp_path)
    code = train.main(["--data-dir", str(tmp_path), "--model", "lenet5", "--dry-run"])
    output, error = capsys.readouterr()
    if says:
        assert code == 2 and error.startswith("error: ") and error.count("\n") == 1
        assert all(part in error for part in says)
    else:
        assert (code, error) == (0, "")
        assert "40 training and 20 test images from" in output and "\nnote" not in output


def table(header):
    def make(folder):
        for name, images, labels in (("train", *ARRAYS[:2]), ("test", *ARRAYS[2:])):
            rows = np.hstack([labels[:, None], images.reshape(len(images), -1)])
            names = ",".join(["label", *(f"pixel{i}" for i in range(784))]) if header else ""
            np.savetxt(folder / f"mnist_{name}.csv", rows, "%d", ",", header=names, comments="")

    return make


def letters(folder):
    """As EMNIST's tables, in which images lie transposed."""
    rows = np.hstack([ARRAYS[1][:, None], turned(ARRAYS[0]).reshape(40, -1)])
    np.savetxt(folder / "emnist-digits-train.csv", rows, "%d", ",")
    rows = np.hstack([ARRAYS[3][:, None], turned(ARRAYS[2]).reshape(20, -1)])
    np.savetxt(folder / "emnist-digits-test.csv", rows, "%d", ",")


def medical(folder):
    names = ("train_images", "train_labels", "test_images", "test_labels", "val_images", "val_labels")
    arrays = [array[:, None] if array.ndim == 1 else array for array in (*ARRAYS, *ARRAYS[:2])]
    np.savez(folder / "a.npz", **dict(zip(names, arrays, strict=True)))


def npz(folder):
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = [array.astype(np.int64) if array.ndim == 1 else array for array in ARRAYS]
    np.savez(folder / "mnist.npz", **dict(zip(names, arrays, strict=True)))


def pictures(folder):
    numbers = count(100)
    for part, images, labels in (("training", *ARRAYS[:2]), ("testing", *ARRAYS[2:])):
        for image, label in zip(images, labels, strict=True):
            (folder / part / str(label)).mkdir(parents=True, exist_ok=True)
            save_png(folder / part / str(label) / f"{next(numbers)}.png", image)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (table(header=True), "a table of text (CSV)"),
        (table(header=False), "a table of text (CSV)"),
        (letters, "a table of text (CSV)"),
        (npz, "NumPy's .npz"),
        (medical, "NumPy's .npz"),
        (pictures, "a PNG picture"),
    ],
    ids=["csv with names", "csv", "emnist's csv", "npz", "npz with a validation part", "pictures"],
)
def test_what_the_message_says_to_type_makes_a_folder_that_is_read(tmp_path, make, kind):
    folder = tmp_path / "it's here"
    folder.mkdir()
    make(folder)
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=folder)
    message = str(caught.value)
    assert kind in message and "\n" not in message
    _, option, code = shlex.split(message.partition("convert it once: ")[2])
    subprocess.run([sys.executable, option, code], check=True)
    data = load_dataset(data_dir=folder)
    parts = ((data.train_images, data.train_labels, *ARRAYS[:2]), (data.test_images, data.test_labels, *ARRAYS[2:]))
    for images, labels, expected_images, expected_labels in parts:
        order = np.argsort(expected_labels, kind="stable") if make is pictures else slice(None)
        np.testing.assert_array_equal(images[:, 0], expected_images[order])
        np.testing.assert_array_equal(labels, expected_labels[order])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train.csv", b"label,a,b,c,d\n1,2,3,4,5\n", "write_idx"),
        ("a.gz", gzip.compress(b"", mtime=0), "pass the folder that it lies in"),
        ("a.zip", b"PK\x03\x04" + bytes(99), "a zip archive; unpack it"),
    ],
)
def test_a_file_instead_of_a_folder_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="is not a folder, but ") as caught:
        load_dataset(data_dir=tmp_path / name)
    assert says in str(caught.value)


def test_a_share_of_a_training_pair_is_held_back_the_same_each_time(tmp_path):
    put(tmp_path, NAMES[:2], ARRAYS[:2])
    one, other = (load_dataset(data_dir=tmp_path) for _ in range(2))
    assert (len(one.train_labels), len(one.test_labels)) == (34, 6)
    assert "no test files: a fixed share of the training images, 1 of 6, is held back" in one.origin
    np.testing.assert_array_equal(one.test_images, other.test_images)
    rows = {image.tobytes(): label for image, label in zip(*ARRAYS[:2], strict=True)}
    for images, labels in ((one.train_images, one.train_labels), (one.test_images, one.test_labels)):
        for image, label in zip(images, labels, strict=True):
            assert rows.pop(image.tobytes()) == label
    assert not rows


def test_letters_make_as_many_classes_as_the_largest_label_needs(tmp_path):
    labels = np.arange(60) % 26 + 1
    put(tmp_path, arrays=[ARRAYS[0], labels[:40], ARRAYS[2], labels[40:]])
    data = load_dataset(data_dir=tmp_path)
    assert data.classes == 27 and "27 classes, as the largest label is 26" in data.origin
    np.testing.assert_array_equal(data.test_labels, labels[40:])


@pytest.mark.parametrize(("transpose", "expected"), [(None, True), (True, True), (False, False)])
def test_emnists_names_say_that_images_lie_transposed_unless_told_otherwise(tmp_path, transpose, expected):
    put(tmp_path, spelt("emnist-letters-{}.gz", test="test"))
    data = load_dataset(data_dir=tmp_path, transpose=transpose)
    assert data.name == "emnist-letters" and data.transposed == expected and ("swapped" in data.origin) == expected
    np.testing.assert_array_equal(data.train_images[:, 0], turned(ARRAYS[0]) if expected else ARRAYS[0])


def test_one_of_several_sets_in_a_folder_is_named_by_the_beginning_of_its_files(tmp_path):
    for stem, change in (("emnist-letters", np.flipud), ("emnist-digits", turned)):
        put(tmp_path / "raw", spelt(f"{stem}-{{}}.gz", test="test"), changed(change))
    data = load_dataset(data_dir=tmp_path / "raw" / "emnist-digits")
    np.testing.assert_array_equal(data.train_images[:, 0], ARRAYS[0])
    with pytest.raises(DataError, match="is not a folder"):
        load_dataset(data_dir=tmp_path / "raw" / "emnist-byclass")
    with pytest.raises(DataError, match="is not a folder"):
        load_dataset(data_dir=tmp_path / "emnist-digits")


def test_a_folder_of_too_many_files_is_not_searched_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MOST_ENTRIES", 30)
    for number in range(31):
        (tmp_path / f"{number}.dat").touch()
    put(tmp_path, spelt("{} (1).gz"))
    with pytest.raises(DataError, match="more than 30 are not looked through: name the folder of the files"):
        load_dataset(data_dir=tmp_path)


def test_what_lies_too_deep_is_not_found(tmp_path):
    put(tmp_path / "1" / "2" / "3" / "4")
    assert len(load_dataset(data_dir=tmp_path).train_labels) == 40
    (tmp_path / "0").mkdir()
    (tmp_path / "1").rename(tmp_path / "0" / "1")
    with pytest.raises(DataError, match="up to 4 folders below"):
        load_dataset(data_dir=tmp_path)


def test_a_folder_named_in_the_environment_is_searched_likewise(tmp_path, no_data, monkeypatch):
    put(tmp_path / "root" / "MNIST" / "raw")
    monkeypatch.setenv("FASTCNN_DATA_DIR", str(tmp_path / "root"))
    assert load_dataset().name == "MNIST" and len(load_dataset().test_labels) == 20


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", "/dev/null", "/proc/kmsg", "/proc/self/environ"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"got (a pipe|a device|an empty file|nothing)"):
        fc.data.read_idx(tmp_path / path)
    with pytest.raises(DataError, match="is not a folder"):
        load_dataset(data_dir=tmp_path / path)


def test_the_hint_of_byte_order_needs_a_reason(tmp_path):
    write_idx(tmp_path / "a", np.zeros((3, 5, 5), np.uint8))
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        fc.data.read_idx(tmp_path / "a")
    assert "little" not in str(caught.value)
