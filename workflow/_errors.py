"""Errors that say who complains, what was given, what is allowed and what to do about it."""

from __future__ import annotations


class ProbewiseError(Exception):
    """Base of every error that a user can mend.

    Parameters
    ----------
    who : str
        The part that complains, in the user's words (``step 'fit_loops'``).
    given : str
        What was given.
    allowed : str
        What would have been accepted.
    remedy : str
        What to do now.
    """

    def __init__(self, who: str, given: str, allowed: str, remedy: str) -> None:
        super().__init__(who, given, allowed, remedy)
        self.who, self.given, self.allowed, self.remedy = who, given, allowed, remedy

    def __str__(self) -> str:
        return f"{self.who}: {self.given}. Allowed: {self.allowed}. Remedy: {self.remedy}."


class SpecError(ProbewiseError):
    """A campaign, workflow or step is described in a way that cannot work."""


class DesignSpaceError(ProbewiseError):
    """A design lies outside the space, or names variables that it does not have."""


class BudgetError(ProbewiseError):
    """A budget is impossible, or an action would exceed it."""


class StoreError(ProbewiseError):
    """A data file is missing, foreign, torn, or not what its checksum says."""


class DiskError(StoreError):
    """The disk refuses what is to be written: it is full, or ails."""


class RunFolderError(ProbewiseError):
    """A run folder is locked by another process, not empty, or not a run folder."""


class WorkerError(ProbewiseError):
    """A worker cannot be found, does not keep its contract, or cannot be started."""


class GuardianError(ProbewiseError):
    """An instrument is to be moved by a way that passes no guardian, or past its limits."""
