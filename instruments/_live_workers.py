"""Microscopes behind servers and devices, as workers of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, final

from pydantic import ValidationError

from ..workflow import Record
from ._claim import Claim
from ._dm import ArrayServerDriver, ArrayServerSettings
from ._dm_client import ArrayServer
from ._driver import Driver
from ._fitting import fitting_procedures
from ._limits import unfit_key
from ._microscope import Microscope
from ._ophyd import OphydDriver, OphydSettings, parts_of
from ._ophyd_rig import OphydRig
from ._procedures import Geometry, Procedure
from ._tango import TangoDriver, TangoSettings
from ._tango_client import TangoMicroscope

Settings = TypeVar("Settings", bound=Record)


class _Remote(Microscope):
    """What microscopes behind a connection share: their procedures are those their driver can do.

    Of their keywords, those that are fields of ``settings`` are the driver's.
    """

    twin: ClassVar[bool] = False

    def procedures(self) -> Mapping[str, Procedure]:
        return fitting_procedures(self.geometry, self.console.driver)

    @classmethod
    def _parted(
        cls, kind: type[Settings], given: dict[str, Any]
    ) -> tuple[Settings, dict[str, Any]]:
        """The driver's settings among keywords, and the other keywords.

        Raises
        ------
        SpecError
            If a setting is impossible.
        """
        own = {k: v for k, v in given.items() if k in kind.model_fields}
        rest = {k: v for k, v in given.items() if k not in kind.model_fields}
        try:
            return kind.model_validate(own), rest
        except ValidationError as error:
            raise unfit_key(f"worker {cls.__name__}", error, kind, cls.config_keys()) from error


@final
class ArrayServerScope(_Remote):
    """A microscope behind a DigitalMicrograph array server, or its twin.

    To the campaign it is a live instrument, whatever answers at the address.

    Parameters
    ----------
    uri
        ``PYRO:array.server@host:9091``, as the server prints it.
    pixels
        Of an overview, whose pixels name the positions of later steps.
    serializer
        ``serpent`` or ``msgpack``.
    patience_s
        How long an answer may take beyond the time of the measurement.
    **more
        Fields of :class:`ArrayServerSettings`, and what :class:`Microscope` takes.

    Raises
    ------
    SpecError
        If one of these is unknown or impossible.
    WorkerError
        If another driver holds the microscope, or the extra ``dm`` is not installed.
    """

    settings: ClassVar[type[Record] | None] = ArrayServerSettings

    def __init__(
        self, uri: str, pixels: int = 128, serializer: str = "serpent", patience_s: float = 20.0,
        **more: Any,
    ) -> None:  # fmt: skip
        settings, rest = self._parted(ArrayServerSettings, more)
        geometry = Geometry(pixels, settings.field_of_view_nm)
        server = ArrayServer(uri, serializer, patience_s)
        driver = _claimed(uri, server.who, lambda c: ArrayServerDriver(server, c, settings))
        super().__init__(driver, geometry, **rest)


@final
class TangoScope(_Remote):
    """A microscope behind asyncroscopy-style Tango devices, or their twin.

    Parameters
    ----------
    device, scan_device, spectrum_device
        Addresses of the microscope and of its settings.
    data_folder
        Where the server's acquisitions are to be seen from here.
    pixels, field_of_view_nm
        Of an overview, whose pixels name the positions of later steps.
    patience_s
        How long an answer may take beyond the time of the measurement. Keep it below the limit
        ``silence_s``, so that the driver's own word comes first.
    **more
        Fields of :class:`TangoSettings`, and what :class:`Microscope` takes.

    Raises
    ------
    SpecError
        If one of these is unknown or impossible.
    WorkerError
        If another driver holds the microscope, or the extra ``tango`` is not installed.
    """

    settings: ClassVar[type[Record] | None] = TangoSettings

    def __init__(
        self, device: str, scan_device: str, spectrum_device: str, data_folder: str,
        pixels: int = 128, field_of_view_nm: float = 200.0, patience_s: float = 25.0, **more: Any,
    ) -> None:  # fmt: skip
        settings, rest = self._parted(TangoSettings, more)
        geometry = Geometry(pixels, field_of_view_nm)
        scope = TangoMicroscope(device, scan_device, spectrum_device, data_folder, patience_s)
        driver = _claimed(device, scope.who, lambda claim: TangoDriver(scope, claim, settings))
        super().__init__(driver, geometry, **rest)


@final
class OphydInstrument(_Remote):
    """An ophyd-async device that moves and reads.

    Parameters
    ----------
    device
        Its name under the entry points ``probewise.ophyd_devices``; code is never named.
    y, x, detector, exposure, shutter
        Its parts, by dotted paths in the device's own tree; the last two may be empty.
    pixels
        Of an overview, whose pixels name the positions of later steps.
    patience_s
        How long any single wait may take.
    **more
        Fields of :class:`OphydSettings`, and what :class:`Microscope` takes.

    Raises
    ------
    SpecError
        If one of these is unknown or impossible.
    WorkerError
        If another driver holds the device, it is not registered or does not connect, or the extra
        ``bluesky`` is not installed.
    """

    settings: ClassVar[type[Record] | None] = OphydSettings

    def __init__(
        self, device: str, y: str, x: str, detector: str = "", exposure: str = "",
        shutter: str = "", pixels: int = 32, patience_s: float = 20.0, **more: Any,
    ) -> None:  # fmt: skip
        settings, rest = self._parted(OphydSettings, more)
        geometry = Geometry(pixels, settings.field_of_view_nm)
        given = {"y": y, "x": x, "detector": detector, "exposure": exposure, "shutter": shutter}
        parts, needs = parts_of(given)

        def make(claim: Claim) -> Driver:
            rig = OphydRig(device, parts, needs, patience_s)
            try:
                return OphydDriver(rig, claim, settings)
            except BaseException:
                rig.close()
                raise

        driver = _claimed(f"ophyd:{device}", f"ophyd device {device!r}", make)
        super().__init__(driver, geometry, **rest)


def _claimed(what: str, who: str, make: Callable[[Claim], Driver]) -> Driver:
    """A driver with the sole right to its instrument; the right is given back if it fails."""
    claim = Claim(what, who)
    try:
        return make(claim)
    except BaseException:
        claim.release()
        raise
