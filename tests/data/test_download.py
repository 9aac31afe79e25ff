"""fetch_mnist takes the first mirror that sends the right bytes, and leaves nothing half done behind."""

import gzip
import hashlib
import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fastcnn.data import download, fetch_mnist, load_dataset
from fastcnn.errors import DataError

# What mirrors say that the length is, right or wrong.
LENGTHS = {"promising": str(10 << 20), "shorter": "40", "negative": "-5", "wordy": "about 5", "huge": "9" * 5000}


class Mirrors(BaseHTTPRequestHandler):
    """Serves the folder ``self.server.folder`` under one name for each way in which a mirror can behave."""

    def do_GET(self):
        behaviour, name = self.path.strip("/").split("/")
        self.server.asked.append((behaviour, name))
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "hanging":
            return self.server.closing.wait(10)
        content = (self.server.folder / name).read_bytes()
        if behaviour == "altered":
            content = gzip.compress(gzip.decompress(content)[:-1] + b"\xff")
        if behaviour == "endless":
            content = bytes(10 << 20)
        if behaviour == "bomb":
            content = gzip.compress(bytes(10 << 20))
        if behaviour == "plain":
            content = gzip.decompress(content)
        if behaviour == "dripping-headers":
            return self.drip(b"HTTP/1.1 200 OK\r\nServer: " + bytes(b"x" * 10_000))
        self.send_response(200)
        if behaviour == "dripping-chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return self.drip(b"1;" + b"x" * 10_000)
        if behaviour != "unsized":
            self.send_header("Content-Length", LENGTHS.get(behaviour, str(len(content))))
        self.end_headers()
        if behaviour == "dripping":
            return self.drip(content)
        if behaviour == "stalling":
            self.wfile.write(content[:-100])
            return self.drip(content[-100:])
        if behaviour == "longer":
            content += b"more"
        self.wfile.write(content[: len(content) // 2] if behaviour == "broken" else content)

    def drip(self, content):
        for byte in content:
            if self.server.closing.wait(0.05):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def log_message(self, *_):
        pass


@contextmanager
def serving(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirrors)
    server.folder, server.asked, server.closing = folder, [], threading.Event()
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(tmp_path, write_folder, monkeypatch):
    """A server of the toy data set, which for the length of the test is what fetch_mnist takes for MNIST."""
    folder = write_folder(tmp_path / "served", ".gz")
    contents = {path.stem: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}
    expected = {
        name: download.Content(len(contents[name]), hashlib.sha256(contents[name]).hexdigest())
        for name in download.MNIST_FILES
    }
    monkeypatch.setattr(download, "MNIST_FILES", expected)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(folder) as server:
        yield server


def fetch(server, folder, *behaviours, **options):
    fetch_mnist(folder, [server.url + behaviour for behaviour in behaviours], **options)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


ALL_FILES = sorted(f"{name}.gz" for name in download.MNIST_FILES)
SLOW = ("hanging", "dripping", "dripping-headers", "dripping-chunks", "stalling")
PATIENCE = defaultdict(lambda: 30.0, dict.fromkeys(SLOW, 0.3))  # seconds


@pytest.mark.parametrize("behaviour", ["good", "unsized", "longer", "negative", "wordy"])
def test_a_good_mirror_fills_the_folder_and_reports_progress(server, tmp_path, behaviour):
    reports = []
    fetch(server, tmp_path / "new" / "folder", behaviour, progress=lambda *report: reports.append(report))
    assert names_in(tmp_path / "new" / "folder") == ALL_FILES
    for name in download.MNIST_FILES:
        url, size = f"{server.url}{behaviour}/{name}.gz", (server.folder / f"{name}.gz").stat().st_size
        assert next(report for report in reports if report[0] == url) == (url, 0, 0)
        assert (url, size, size if behaviour in ("good", "longer") else 0) in reports


def test_a_mirror_is_named_before_it_is_asked(server, tmp_path):
    asked = []
    fetch(server, tmp_path / "a", "missing", "good", progress=lambda *report: asked.append((report, len(server.asked))))
    first, second, *_ = asked
    assert first == ((f"{server.url}missing/train-images-idx3-ubyte.gz", 0, 0), 0)
    assert second == ((f"{server.url}good/train-images-idx3-ubyte.gz", 0, 0), 1)


def test_a_file_that_a_mirror_sends_unpacked_is_right_too(server, tmp_path):
    fetch(server, tmp_path / "a", "plain")
    fetch(server, tmp_path / "a", "missing")


def test_what_is_there_and_right_is_not_fetched_again(server, tmp_path):
    fetch(server, tmp_path / "a", "good")
    (tmp_path / "a" / "t10k-labels-idx1-ubyte.gz").unlink()
    server.asked.clear()
    fetch(server, tmp_path / "a", "good")
    assert server.asked == [("good", "t10k-labels-idx1-ubyte.gz")]


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("missing", "404"),
        ("altered", "expected SHA-256"),
        ("broken", "the connection broke after"),
        ("endless", "expected at most"),
        ("bomb", "expected SHA-256"),
        ("promising", "expected at most 104"),
        ("huge", "expected at most 104"),
        ("shorter", "ended before the end-of-stream marker"),
        ("hanging", "timed out"),
        ("dripping", "slower than 10 kB/s"),
        ("dripping-headers", "slower than 10 kB/s"),
        ("dripping-chunks", "slower than 10 kB/s"),
        ("stalling", "slower than 10 kB/s"),
    ],
)
def test_a_bad_mirror_is_named_and_leaves_nothing(server, tmp_path, behaviour, says):
    with pytest.raises(DataError) as caught:
        fetch(server, tmp_path / "a", behaviour, timeout=PATIENCE[behaviour])
    assert says in str(caught.value) and server.url + behaviour in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path / "a") == []


@pytest.mark.parametrize("behaviour", ["missing", "altered", "broken", "endless", "hanging"])
def test_the_next_mirror_steps_in_and_is_asked_first_from_then_on(server, tmp_path, behaviour):
    fetch(server, tmp_path / "a", behaviour, "good", timeout=PATIENCE[behaviour])
    assert names_in(tmp_path / "a") == ALL_FILES
    assert [asked for asked, _ in server.asked] == [behaviour] + ["good"] * 4


def test_a_damaged_file_is_replaced_whatever_its_spelling(server, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train-labels.idx1-ubyte").write_bytes(b"half a fi")
    fetch(server, tmp_path / "a", "good")
    assert "train-labels.idx1-ubyte" in names_in(tmp_path / "a") and len(names_in(tmp_path / "a")) == 4
    assert len(load_dataset(data_dir=tmp_path / "a").train_labels) == 30


def test_a_damaged_file_stays_until_there_is_a_better_one(server, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train-images-idx3-ubyte").write_bytes(b"half a fi")
    with pytest.raises(DataError):
        fetch(server, tmp_path / "a", "broken")
    assert (tmp_path / "a" / "train-images-idx3-ubyte").read_bytes() == b"half a fi"


def test_too_long_a_length_is_refused_before_anything_is_read(server, tmp_path):
    reports = []
    with pytest.raises(DataError):
        fetch(server, tmp_path / "a", "promising", progress=lambda *report: reports.append(report))
    assert [received for _, received, _ in reports] == [0]


def test_a_rate_is_of_the_last_seconds_not_of_all_since_the_start(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(download.time, "monotonic", lambda: now[0])
    pace = download._Pace(timeout=2.0)
    for _ in range(2):
        now[0] += 1.5
        pace.count(50_000)
    now[0] += 2.5
    with pytest.raises(TimeoutError, match="slower than 10 kB/s"):
        pace.count(10_000)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(server, tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="pipe"):
        fetch(server, tmp_path / "a", "missing")


def test_an_interrupt_leaves_nothing(server, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "a", "good", progress=interrupt)
    assert names_in(tmp_path / "a") == []


def test_a_url_that_is_none_is_one_more_failure(tmp_path):
    with pytest.raises(DataError, match="nonsense failed: unknown url type"):
        fetch_mnist(tmp_path / "a", ["nonsense"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot create the folder .*FASTCNN_CACHE_DIR"):
        fetch_mnist(tmp_path / "a" / "b", ["http://127.0.0.1:9/"])


def test_load_dataset_downloads_into_the_cache(server, no_data, monkeypatch):
    monkeypatch.setenv("FASTCNN_MNIST_MIRRORS", f"{server.url}missing {server.url}good")
    reports = []
    dataset = load_dataset("mnist", download_progress=lambda *report: reports.append(report))
    assert dataset.name == "mnist" and len(dataset.train_labels) == 30 and reports
    assert names_in(no_data / "mnist") == ALL_FILES
    assert load_dataset("auto").name == "mnist"


def test_the_real_files_have_the_known_sums(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(data_dir / "mnist") as server:
        fetch(server, tmp_path / "a", "good")
    assert names_in(tmp_path / "a") == ALL_FILES
