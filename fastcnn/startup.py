"""Loading the C core."""


def load_core() -> None:
    """Import fastcnn._core.

    Raises:
        ImportError: if it was not built for this Python.
    """
    try:
        import fastcnn._core  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "fastcnn._core":
            raise
        raise ImportError("fastcnn is not built for this Python; run `pip install .` in its source folder") from None
