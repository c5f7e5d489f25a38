"""What `pytest.raises` is for tests that also run on MicroPython."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    E = TypeVar("E", bound=BaseException)


def raises(kind: "type[E]", function: "Callable[..., Any]", *args: "Any", **named: "Any") -> "E":
    """The error of `kind` that the call raises; AssertionError when it raises none. Other errors pass through."""
    try:
        function(*args, **named)
    except kind as error:
        return error
    raise AssertionError("no {} for {!r:.200} {!r:.200}".format(kind.__name__, args, named))
