"""Where files are written: whole or not at all, through links, as private as before, onto regular files alone."""

import errno
import os
import socket
import stat
import threading

import pytest

import fastcnn as fc
from fastcnn import atomic, callbacks, checkpoint, plots
from fastcnn.atomic import place_to_write, replacing, write

as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give files away")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def umask():
    """Whose own files nobody else may write."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_a_new_file_is_as_private_as_the_umask_says(tmp_path, umask):
    write(tmp_path / "new", "a")
    assert mode(tmp_path / "new") == 0o640


@pytest.mark.parametrize("bits", [0o600, 0o664, 0o200, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, umask, bits):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(bits)
    with replacing(path) as file:
        seen = [mode(tmp_path / name) for name in os.listdir(tmp_path) if name != "file"]
        file.write(b"new")
    assert seen == [0o600]  # nobody reads the new file sooner than the old one allowed
    assert mode(path) == bits
    path.chmod(0o600)
    assert path.read_text() == "new"


@as_root
def test_a_file_that_is_replaced_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 1234, 5678)
    path.chmod(0o4640)
    write(path, "new")
    after = path.stat()
    assert (after.st_uid, after.st_gid, mode(path), path.read_text()) == (1234, 5678, 0o4640, "new")


def test_a_file_whose_owner_it_could_not_keep_stays_as_it_is(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "file"
    path.write_text("old")
    theirs = os.stat_result([*path.stat()[:4], 99, *path.stat()[5:]])
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", lambda descriptor: theirs)
    with pytest.raises(PermissionError, match="belongs to another user"):
        write(path, "new")
    monkeypatch.undo()
    assert (os.listdir(tmp_path), path.read_text()) == (["file"], "old")


@pytest.mark.parametrize("bits", [0o444, 0o400, 0o000, 0o555])
def test_a_write_protected_file_is_refused_also_for_root(tmp_path, bits):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(bits)
    (tmp_path / "link").symlink_to(path)
    for name in ("file", "link"):
        with pytest.raises(PermissionError, match=f"is write-protected: '.*{name}'"):
            write(tmp_path / name, "new")
    assert mode(path) == bits
    path.chmod(0o600)
    assert path.read_text() == "old"


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_stays_and_its_target_is_written(tmp_path, relative, dangling):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "target"
    if not dangling:
        target.write_text("old")
    (tmp_path / "second").symlink_to("there/target" if relative else target)
    (tmp_path / "first").symlink_to("second")
    with replacing(tmp_path / "first") as file:
        assert len(os.listdir(tmp_path / "there")) == 1 + (not dangling)  # on the target's own disk
        file.write(b"new")
    assert os.readlink(tmp_path / "first") == "second" and (tmp_path / "second").is_symlink()
    assert target.read_text() == "new" and not target.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["first", "second", "there"] and os.listdir(tmp_path / "there") == ["target"]


def test_links_that_lead_nowhere_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("no/folder")
    with pytest.raises(OSError, match=r"symbolic links: '.*a'"):
        write(tmp_path / "a", "new")
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*no'"):
        write(tmp_path / "c", "new")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def fifo(path):
    os.mkfifo(path)


def bound(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # a short name: there are but 108 characters


def device(path):
    path.symlink_to("/dev/null")  # never the device itself: if this fails, its folder has a temporary file, no more


SPECIAL = {
    "folder": (os.mkdir, "Is a directory"),
    "fifo": (fifo, r"is a named pipe \(FIFO\), expected a regular file"),
    "socket": (bound, "is a socket, expected a regular file"),
    "device": (device, "is a device, expected a regular file"),
}


@pytest.mark.parametrize(("make", "says"), SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, make, says, linked, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "replace", None)
    path = tmp_path / "special"
    make(path)
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    if linked:
        path = tmp_path / "link"
        path.symlink_to("special")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OSError, match=f"{says}: '.*{path.name}'"):
        fc.save(fc.Sequential(fc.Linear(2, 1)), path)
    assert sorted(os.listdir(tmp_path)) == before and stat.S_IFMT(os.lstat(tmp_path / "special").st_mode) == kind


def test_every_writer_refuses_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    path = tmp_path / "fifo"
    model = fc.Sequential(fc.Linear(2, 2))
    trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()))
    row = {"epoch": 1, "cost": 1.0}
    images = fc.data.load_dataset("sample").test_images[:1]
    for write_it in (
        lambda: checkpoint.save_checkpoint(path, trainer),
        lambda: fc.data.write_idx(path, images),
        lambda: fc.data.save_png(path, images),
        lambda: plots.draw_curves(path, [row]),
        lambda: callbacks.Checkpoint(path).on_start(trainer),
        lambda: callbacks.JSONLog(path).on_start(trainer),
        lambda: callbacks.CSVLog(path).on_start(trainer),
    ):
        with pytest.raises((OSError, fc.DataError), match="FIFO"):
            write_it()
    assert stat.S_ISFIFO(path.stat().st_mode) and os.listdir(tmp_path) == ["fifo"]


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 250 + ".png", "n" * 101])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, name):
    for text in ("first", "second"):
        write(tmp_path / name, text)
    assert (tmp_path / name).read_text() == "second" and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("n" * 256, "File name too long"),
        ("a\0b", "no file can have such a name"),
        ("a\ud800", "no file can have such a name"),
        ("", "Is a directory"),
        (".", "Is a directory"),
        ("..", "Is a directory"),
        ("new/", "Is a directory"),
        ("file/below", "Not a directory"),
    ],
)
def test_a_name_that_cannot_be_is_told_as_it_was_typed(tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match=says) as caught:
        write(name, "new")
    assert caught.value.filename == name and ".part" not in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_of_the_temporary_file_names_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link", source, None, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Invalid cross-device link") as caught:
        write(tmp_path / "file", "new")
    assert caught.value.filename == str(tmp_path / "file") and ".part" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    path.write_text("old")
    if failing != "write":
        monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"), replacing(path) as file:
        file.write(b"half")
        if failing == "write":
            full()
    assert (os.listdir(tmp_path), path.read_text()) == (["file"], "old")


def test_the_bytes_are_safe_before_the_name_and_the_name_before_it_returns(tmp_path, monkeypatch):
    calls, opened = [], {}

    def open_noted(path, flags, mode=0o777, *, true=os.open, **how):
        descriptor = true(path, flags, mode, **how)
        opened[descriptor] = str(path)
        return descriptor

    def fsync_noted(descriptor, true=os.fsync):
        calls.append(("fsync", opened[descriptor]))
        true(descriptor)

    def replace_noted(source, target, true=os.replace):
        calls.append(("replace", str(source)))
        true(source, target)

    monkeypatch.setattr(atomic.os, "open", open_noted)
    monkeypatch.setattr(atomic.os, "fsync", fsync_noted)
    monkeypatch.setattr(atomic.os, "replace", replace_noted)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    write(tmp_path / "link", "new")
    temporary = calls[0][1]
    assert os.path.dirname(temporary) == str(tmp_path / "folder")
    assert calls == [("fsync", temporary), ("replace", temporary), ("fsync", str(tmp_path / "folder"))]


def test_writers_of_one_file_leave_one_of_theirs(tmp_path):
    path = tmp_path / "file"
    texts = [letter * 50_000 for letter in "abcd"]
    crew = [threading.Thread(target=lambda text=text: [write(path, text) for _ in range(10)]) for text in texts]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
    assert path.read_text() in texts and os.listdir(tmp_path) == ["file"]


def test_the_place_is_known_before_anything_is_written(tmp_path):
    assert place_to_write(tmp_path / "new") == (tmp_path / "new", None)
    assert os.listdir(tmp_path) == []
