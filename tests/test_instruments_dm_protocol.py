"""The array server's wire: what a client and a double say to each other, and how it fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probewise.instruments._dm_client import SERIALIZERS, ArrayServer
from probewise.instruments._dm_twin import ArrayServerTwin
from probewise.instruments._driver import DriverFault
from probewise.instruments._incoming import array_from
from probewise.instruments._twin_server import FAULTS, Conduct, parse_faults
from probewise.workflow import SpecError

pytest.importorskip("Pyro5", reason="the extra 'dm' is not installed")

CHANNELS = 64
MakeTwin = Callable[..., ArrayServerTwin]


class Ramp:
    """A specimen whose image and spectra are easily told."""

    def image(
        self, pixels: int, y_nm: float, x_nm: float, side_nm: float, dwell_s: float
    ) -> NDArray[np.float64]:
        ramp = np.arange(pixels * pixels, dtype=np.float64).reshape(pixels, pixels)
        return np.rint(ramp * dwell_s * 1e6)

    def spectrum(self, y_nm: float, x_nm: float, exposure_s: float) -> NDArray[np.float64]:
        return np.rint(np.linspace(0, 1000 * exposure_s, CHANNELS) + 100 * y_nm + 10 * x_nm)


@pytest.fixture
def twin() -> Iterator[MakeTwin]:
    made: list[ArrayServerTwin] = []

    def make(faults: dict[str, int] | None = None, **options: Any) -> ArrayServerTwin:
        made.append(ArrayServerTwin(Ramp(), Conduct(0, faults or {}), **options).start())
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def client() -> Iterator[Callable[..., ArrayServer]]:
    made: list[ArrayServer] = []

    def make(*args: Any, **kwargs: Any) -> ArrayServer:
        made.append(ArrayServer(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("form", ["list", "bytes"])
def test_frames_and_spectra_arrive_as_they_were_sent(twin, client, serializer, form) -> None:
    server = client(twin(form=form).uri, serializer)
    np.testing.assert_array_equal(server.image(8, 2.0), Ramp().image(8, 0, 0, 200, 2e-6))
    server.place_beam(4, 2)  # the centre of that pixel, 25 nm wide
    np.testing.assert_array_equal(server.spectrum(0.1), Ramp().spectrum(62.5, 112.5, 0.1))


def faulty(act: Callable[[], object]) -> DriverFault:
    with pytest.raises(DriverFault) as caught:
        act()
    assert caught.value.message and caught.value.remedy
    return caught.value


def when_free(ask: Callable[[], Any]) -> Any:
    """The answer, once the server has noticed that the connection before this one has ended."""
    for _ in range(200):
        try:
            return ask()
        except DriverFault:
            threading.Event().wait(0.02)
    pytest.fail("the connection before has ended and this one is still refused")


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refuse", "refused", "viewing screen is in"),
        ("drop", "uncertain", "may or may not have been done"),
        ("hang", "timeout", "no answer to get_ds within"),
        ("shape", "bad_data", "values for shape (5, 5)"),
        ("dtype", "bad_data", "the dtype 'object'"),
    ],
)
def test_every_fault_has_its_name_and_the_next_call_works(twin, client, fault, kind, words) -> None:
    server = client(twin(faults={fault: 1}).uri, patience_s=0.3)
    found = faulty(lambda: server.image(4, 1.0))
    assert found.kind == kind and words in found.message
    assert when_free(lambda: server.image(4, 1.0)).shape == (4, 4)


def test_a_lost_call_is_not_repeated(twin, client) -> None:
    double = twin(faults={"drop": 1})
    server = client(double.uri)
    faulty(lambda: server.spectrum(0.1))
    assert double.conduct.taken == 1


def test_after_a_lost_connection_the_camera_is_made_ready_anew(twin, client) -> None:
    server = client(twin(faults={"drop": 2}).uri)
    server.spectrum(0.1)
    faulty(lambda: server.spectrum(0.1))
    assert when_free(lambda: server.spectrum(0.1)).shape == (CHANNELS,)


def test_a_second_client_is_told_that_there_is_a_first(twin, client) -> None:
    double = twin()
    first, second = client(double.uri), client(double.uri)
    first.image(4, 1.0)
    assert "another client" in faulty(lambda: second.image(4, 1.0)).message
    assert faulty(lambda: second.place_beam(1, 1)).kind == "refused"
    first.close()
    assert when_free(lambda: second.image(4, 1.0)).shape == (4, 4)


def test_a_server_that_is_not_there_did_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ArrayServer(f"PYRO:array.server@127.0.0.1:{port}", patience_s=1.0)
    found = faulty(lambda: server.image(4, 1.0))
    assert found.kind == "refused" and str(port) in found.message


def test_a_port_that_accepts_and_never_answers_runs_out_of_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = f"PYRO:array.server@127.0.0.1:{mute.getsockname()[1]}"
        found = faulty(lambda: ArrayServer(uri, patience_s=0.2).image(4, 1.0))
    assert found.kind == "timeout"


@pytest.mark.parametrize(
    ("uri", "serializer", "words"),
    [
        ("PYRONAME:array.server", "serpent", "PYRO:array.server@host:port"),
        ("PYRO:array.server@host", "serpent", "PYRO:array.server@host:port"),
        ("PYRO:array.server@host:9091", "marshal", "serpent"),
        ("PYRO:array.server@host:9091", "pickle", "serpent"),
    ],
)
def test_addresses_and_formats_are_checked_before_anything_is_sent(uri, serializer, words) -> None:
    with pytest.raises(SpecError, match="array server") as caught:
        ArrayServer(uri, serializer)
    assert words in caught.value.allowed


def test_faults_must_be_known() -> None:
    assert parse_faults(["drop:3", "nan:1"]) == {"drop": 3, "nan": 1}
    for wrong in ("explode:1", "drop", "drop:0", "drop:x"):
        with pytest.raises(SpecError) as caught:
            parse_faults([wrong])
        assert all(name in caught.value.allowed for name in FAULTS)
    with pytest.raises(SpecError):
        Conduct(faults={"explode": 1})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (None, "NoneType"),
        ("abc", "str"),
        (([1, 2], (2,)), "tuple"),
        (([1, 2], (2,), "O"), "dtype"),
        (([1, 2], (2,), "f4,f4"), "dtype"),
        (([1, 2], (2,), "complex128"), "dtype"),
        (([1, 2], (3,), "int16"), "2 values for shape (3,)"),
        (([1, 2], (1, 2), "int16"), "shape"),
        (([1, 2], (-2,), "int16"), "shape"),
        (([1, 2], (2.0,), "int16"), "shape"),
        (([1, 2], (2**40,), "int16"), "values"),
        (([[1], [2, 3]], (3,), "int16"), "make no array"),
        ((["a", "b"], (2,), "int16"), "make no array"),
        ((b"abc", (2,), "int16"), "3 bytes"),
        (({"a": 1}, (1,), "int16"), "dict"),
    ],
)
def test_what_is_no_array_is_not_taken(parts, words) -> None:
    found = faulty(lambda: array_from("server", parts, axes=1))
    assert found.kind == "bad_data" and words in found.message and "allowed" in found.message


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30),
    st.sampled_from(["uint32", "float64", "int64"]),
)
def test_lists_and_bytes_are_the_same_array(values, dtype) -> None:
    array = np.array(values, dtype)
    by_list = array_from("server", (array.tolist(), array.shape, dtype), axes=1)
    by_bytes = array_from("server", (array.tobytes(), list(array.shape), dtype), axes=1)
    np.testing.assert_array_equal(by_list, by_bytes)
    np.testing.assert_array_equal(by_list, array.astype(np.float64))
