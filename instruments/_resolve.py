"""Places of commands: what was found, and what stands for it before there is an image."""

from __future__ import annotations

from collections.abc import Mapping

from ..workflow import AnyCommand, Point, Where


def resolved(command: AnyCommand, found: Mapping[str, tuple[Point, ...]]) -> AnyCommand:
    """The command with points for its places; as it is where nothing was found."""
    where = getattr(command, "at", None)
    if not isinstance(where, Where) or where.points:
        return command
    points = where.resolve(found)
    if not points:
        return command
    return command.model_copy(update={"at": Where(points=points)})


def spread(count: int, size_nm: float) -> tuple[Point, ...]:
    """So many points on a regular grid, for what is not known before an image is there."""
    side = int(count**0.5) + 1
    return tuple(
        Point(y_nm=(k // side + 0.5) * size_nm / side, x_nm=(k % side + 0.5) * size_nm / side)
        for k in range(count)
    )
