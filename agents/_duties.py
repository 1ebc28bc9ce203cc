"""What a worker says, before a campaign begins, to the steps that it may be given."""

from __future__ import annotations

from collections.abc import Iterable

from ..workflow import ProbewiseError, Step, Worker, WorkerError
from ._secrets import hide


def check_steps(name: str, worker: Worker, steps: Iterable[Step]) -> None:
    """Put steps to the worker that a campaign calls ``name``.

    Raises
    ------
    ProbewiseError
        What the worker says of the first step that it refuses, with its name before it.
    WorkerError
        If it answers otherwise than :meth:`Worker.check` must.
    """
    for step in steps:
        who = f"worker {name!r}, step {step.name!r}"
        try:
            answer: object = worker.check(step)
        except ProbewiseError as error:
            parts = (f"worker {name!r}, {error.who}", error.given, error.allowed, error.remedy)
            raise type(error)(*(hide(part) for part in parts)) from None
        except Exception as error:
            raise _unfit(who, worker, f"{type(error).__name__}: {error}") from error
        if answer is not None:
            raise _unfit(who, worker, f"the answer {answer!r}")


def _unfit(who: str, worker: Worker, given: str) -> WorkerError:
    return WorkerError(
        who,
        hide(given),
        "no answer, or a ProbewiseError that says what is wrong with the step",
        f"mend check() of {type(worker).__name__}",
    )
