"""``probewise twin``: doubles of instrument servers, to try a client before it meets a real one."""

from __future__ import annotations

import ipaddress
import signal
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..instruments import serve_array_server, serve_tango
from ..workflow import SpecError
from ._cli_errors import complaining

twin_app = typer.Typer(
    name="twin", help="Doubles of instrument servers, on this machine.", no_args_is_help=True
)

Seed = Annotated[int, typer.Option(help="Seed of the specimen and of the noise.", min=0)]
Speed = Annotated[
    float, typer.Option(help="1: an instrument's pace; 2: twice that; 0: no waiting.", min=0)
]
Faults = Annotated[
    list[str] | None,
    typer.Option("--fault", help="KIND:N, such as drop:3 for the third frame or spectrum."),
]
Host = Annotated[str, typer.Option(help="Address to listen on; others than loopback: --expose.")]
Expose = Annotated[
    bool, typer.Option("--expose", help="Let other machines in; the protocol knows no password.")
]


@twin_app.command("array-server")
def array_server(
    port: Annotated[int, typer.Option(help="Port; 0 for any free one.", min=0, max=65535)] = 9091,
    host: Host = "127.0.0.1",
    seed: Seed = 0,
    speed: Speed = 1.0,
    form: Annotated[str, typer.Option(help="list, as the real server has it, or bytes.")] = "list",
    field_of_view_nm: Annotated[float, typer.Option(help="Side of a frame.", min=1.0)] = 200.0,
    fault: Faults = None,
    expose: Expose = False,
) -> None:
    """Serve like DigitalMicrograph's array server: frames, beam positions, spectra."""
    with complaining():
        _check_host(host, expose)
        twin = serve_array_server(
            seed=seed, speed=speed, faults=fault or [], host=host, port=port,
            form=_form(form), field_of_view_nm=field_of_view_nm,
        )  # fmt: skip
        typer.echo(f"a twin answers at {twin.uri}; Ctrl-C ends it")
        try:
            _until_interrupted()
        finally:
            twin.close()


@twin_app.command("tango")
def tango(
    port: Annotated[int, typer.Option(help="Port; 0 for any free one.", min=0, max=65535)] = 8888,
    host: Host = "127.0.0.1",
    folder: Annotated[Path | None, typer.Option(help="Where acquisitions are kept.")] = None,
    seed: Seed = 0,
    speed: Speed = 1.0,
    fault: Faults = None,
    expose: Expose = False,
) -> None:
    """Serve like asyncroscopy: a microscope, its scan and its spectrometer as Tango devices."""
    with complaining(), tempfile.TemporaryDirectory() as temporary:
        _check_host(host, expose)
        data = folder or Path(temporary)
        data.mkdir(parents=True, exist_ok=True)
        with serve_tango(data, seed, speed, fault or [], host, port) as devices:
            for name, address in devices.items():
                typer.echo(f"{name}: {address}")
            typer.echo(f"data_folder: {data.absolute()}\nCtrl-C ends it")
            _until_interrupted()


def _form(text: str) -> Literal["list", "bytes"]:
    if text == "bytes":
        return "bytes"
    if text != "list":
        raise SpecError("twin array-server", f"--form {text!r}", "list or bytes", "choose one")
    return "list"


def _check_host(host: str, expose: bool) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not expose:
        raise SpecError(
            "twin",
            f"--host {host!r}",
            "an address of this machine alone, such as 127.0.0.1",
            "add --expose, and know that anybody who reaches the port may give commands",
        )


def _until_interrupted() -> None:
    """Wait for Ctrl-C or a request to end."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    while not over.wait(0.5):
        pass
