"""``probewise twin``: started as a user does, met by a client, kept to this machine."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from probewise.campaign._cli import app
from probewise.instruments._dm_client import ArrayServer

PROBEWISE = (sys.executable, "-c", "from probewise.campaign._cli import app; app()")


@pytest.mark.slow
def test_a_client_meets_the_twin_that_the_command_starts() -> None:
    pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")
    arguments = ["twin", "array-server", "--port", "0", "--speed", "0", "--form", "bytes"]
    twin = subprocess.Popen(
        [*PROBEWISE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert twin.stdout is not None
        found = re.search(r"PYRO:array\.server@127\.0\.0\.1:\d+", twin.stdout.readline())
        assert found is not None
        server = ArrayServer(found[0])
        assert server.image(16, 2.0).shape == (16, 16)
        server.place_beam(3, 4)
        assert server.spectrum(0.01).shape == (1024,)
        server.close()
        twin.send_signal(signal.SIGINT)
        assert twin.wait(timeout=20) == 0
    finally:
        twin.kill()
        twin.wait()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["array-server", "--host", "0.0.0.0"], "--expose"),
        (["tango", "--host", "example.org"], "--expose"),
        (["array-server", "--fault", "explode:1"], "drop:3"),
        (["array-server", "--form", "pickle"], "list or bytes"),
    ],
)
def test_other_machines_and_unknown_faults_are_refused(arguments, words) -> None:
    pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")
    done = CliRunner().invoke(app, ["twin", *arguments])
    assert done.exit_code == 2 and words in done.output


def test_a_port_that_is_taken_is_named() -> None:
    pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["twin", "array-server", "--port", port])
    assert result.exit_code == 2
    assert port in result.stderr and "another port" in result.stderr
