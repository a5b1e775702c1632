"""What keeps a push from the Hub, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from huggingface_hub import constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # httpx or httpx2: what the installed huggingface_hub takes

from hf_xling.errors import InputError, XlingError, one_line

LOGIN = "`hf auth login` saves one, and so does HF_TOKEN=… for one command"


class Refusal(Exception):
    """Raised inside of `refusals`: its text is put into the line as it is."""


@contextmanager
def refusals(repo_id: str, then: str, token: str | None, again: str = "") -> Iterator[None]:
    """Turn what the client of the Hub raises into one line on `repo_id` that ends on `then`, without the token.

    `again` is what may be said of giving the same command again, where nothing in it has to change.

    Raises:
        InputError: name, token or rights do not do.
        XlingError: the Hub cannot be reached, or fails.
    """
    try:
        yield
    except (Refusal, OSError, RuntimeError, ValueError, httpx.HTTPError) as error:
        sort, said = _explained(error)
        said = said.replace(token, "…") if token else said
        raise sort(f"--repo_id {repo_id}: {one_line(said, 160)}; {then}{again if _may_pass(error) else ''}") from error


def _may_pass(error: BaseException) -> bool:
    """Whether the same command may do it, another time or by another token; with another name or tag it is another."""
    is_bad = isinstance(error, HfHubHTTPError) and error.response is not None and error.response.status_code == 400
    return not (is_bad or isinstance(error, Refusal | RevisionNotFoundError))


def is_conflict(error: BaseException) -> bool:
    """Whether another push came in between."""
    return _has_answer(error) and error.response.status_code in (409, 412)


def _has_answer(error: BaseException | None) -> TypeGuard[HfHubHTTPError]:
    # A download that fails is among the errors of answers too; what came instead of one is its cause.
    return isinstance(error, HfHubHTTPError) and not isinstance(error, LocalEntryNotFoundError)


def _explained(error: BaseException) -> tuple[type[XlingError], str]:
    if isinstance(error, Refusal):
        return InputError, str(error)
    cause: BaseException | None = error
    while cause is not None:  # an upload that fails is wrapped
        if isinstance(cause, OfflineModeIsEnabled):
            return XlingError, "HF_HUB_OFFLINE is set, so the Hub is not asked"
        if isinstance(cause, LocalTokenNotFoundError):
            return InputError, f"there is no token for the Hub; {LOGIN}"
        if _has_answer(cause):
            return _answered(cause)
        if isinstance(cause, (httpx.HTTPError, ConnectionError, TimeoutError)):
            return XlingError, f"the Hub at {constants.ENDPOINT} cannot be reached ({type(cause).__name__})"
        cause = cause.__cause__
    return XlingError, f"{type(error).__name__}: {error}"


def _answered(error: HfHubHTTPError) -> tuple[type[XlingError], str]:
    status = error.response.status_code
    if isinstance(error, RevisionNotFoundError):
        return InputError, "has no branch of the name that --hub_revision gives"
    if isinstance(error, RepositoryNotFoundError):
        return InputError, "is not there, or the token may not see it"
    if status == 401:
        return InputError, f"the Hub does not accept the token; {LOGIN}"
    if status == 403:
        return InputError, "the token has no right to write there"
    if status in (409, 412):
        return XlingError, "other pushes came in between, again and again"
    said = error.server_message or str(error)
    return (InputError if status == 400 else XlingError), f"the Hub answers {status}: {said}"
