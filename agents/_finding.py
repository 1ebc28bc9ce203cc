"""What is found out about an action that was issued and never observed."""

from __future__ import annotations

from typing import Literal

from ..workflow import Fate, Observation, Record


class Finding(Record):
    """Its fate, and who knew it.

    ``observation`` is what is to be journalled as it is: the result with ``Fate.DONE``, a failure
    with its charge with ``Fate.DONE_WITHOUT_RESULT``, None otherwise.
    """

    fate: Fate
    by: Literal["ledger", "worker", "nobody"]
    observation: Observation | None = None
