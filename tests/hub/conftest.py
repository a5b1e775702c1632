"""A loopback Hub for the tests of a file, and a process with real clients of it."""

import pytest
from faulty_tgi import serving
from hub_clients import READER, WRITER, client
from loopback_hub import LoopbackHub


@pytest.fixture(scope="module")
def hub():
    server = LoopbackHub()
    server.admit(WRITER, "someone", "org")
    server.admit(READER, "reader")
    with serving(server):
        yield server
    assert "unknown" not in {entry.what for entry in server.log}  # all that the clients asked for is there


@pytest.fixture(scope="module")
def call(hub, tmp_path_factory):
    """Runs a function in a process that has `WRITER`'s token."""
    with client(hub.url, tmp_path_factory.mktemp("home"), WRITER) as process:
        yield process
