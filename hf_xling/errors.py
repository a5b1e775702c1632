"""The project's own errors: each message is one line for a person."""

from __future__ import annotations


class XlingError(Exception):
    """A failure: exit status 1."""

    status = 1


class InputError(XlingError):
    """What the user gave cannot be used; the message names the file, row or field and what is needed: exit status 2."""

    status = 2


class EndpointError(XlingError):
    """An endpoint cannot be used at all: down, refusing, or not speaking the wire. Exit status 1."""


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """The message of `error` on one line of at most `limit` printable characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"
