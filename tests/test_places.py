"""Where caches are, with and without a home folder, and what ~ means."""

import os
import sys
from pathlib import Path

import pytest

import fastcnn as fc
from fastcnn.places import cache_dir, expanded, with_tilde


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """An empty folder, Linux, a home folder, no variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("FASTCNN_CACHE_DIR", "XDG_CACHE_HOME", "FASTCNN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")


@pytest.fixture
def homeless(monkeypatch):
    """A user of whom the system knows nothing: a random number, as containers have it."""
    pwd = pytest.importorskip("pwd")

    def unknown(who):
        raise KeyError(f"no entry for {who}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "/home/me/.cache/fastcnn"),
        ({"FASTCNN_CACHE_DIR": "/big"}, "/big"),
        ({"FASTCNN_CACHE_DIR": "~/x"}, "/home/me/x"),
        ({"FASTCNN_CACHE_DIR": "here"}, "here"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/fastcnn"),
        ({"XDG_CACHE_HOME": "~/xdg"}, "/home/me/xdg/fastcnn"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/fastcnn"),
        ({"XDG_CACHE_HOME": "", "FASTCNN_CACHE_DIR": ""}, "/home/me/.cache/fastcnn"),
    ],
)
def test_the_cache_follows_the_environment(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == Path(expected)


def test_on_macos_it_is_in_the_library(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path("/home/me/Library/Caches/fastcnn")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HOME": "~"}, None),
        ({"HOME": "relative"}, None),
        ({"FASTCNN_CACHE_DIR": "~/x"}, None),
        ({"XDG_CACHE_HOME": "~/x"}, None),
        ({"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/fastcnn")),
        ({"FASTCNN_CACHE_DIR": "/big"}, Path("/big")),
    ],
)
def test_without_a_home_there_may_be_no_cache_and_never_a_folder_called_tilde(
    homeless, monkeypatch, variables, expected
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == expected
    assert "no MNIST on this machine" in fc.data.load_dataset("auto").origin
    if expected is None:
        with pytest.raises(fc.DataError, match="no home folder is known to keep a download in; set FASTCNN_CACHE_DIR"):
            fc.data.load_dataset("mnist")
    assert os.listdir() == []


def test_a_tilde_is_the_home_folder_or_an_error(monkeypatch, homeless):
    assert expanded("./~") == Path("~") and expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    for path in ("~", "~/x"):
        with pytest.raises(fc.ConfigError, match=r"'~.*': no home folder is known .*; write the path in full"):
            expanded(path)
    monkeypatch.setenv("HOME", "/home/me")
    assert (expanded("~"), expanded("~/x"), expanded("a/~")) == (Path("/home/me"), Path("/home/me/x"), Path("a/~"))


@pytest.mark.parametrize(
    ("home", "shown"),
    [("/home/me", "~/.cache"), ("/home/m", "/home/me/.cache"), ("/", "/home/me/.cache"), ("x", "/home/me/.cache")],
)
def test_people_see_their_home_as_a_tilde(monkeypatch, home, shown):
    monkeypatch.setenv("HOME", home)
    assert with_tilde(Path("/home/me/.cache")) == shown
