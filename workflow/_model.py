"""The base of every record: frozen, closed, finite."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Record(BaseModel):
    """A frozen record that refuses unknown fields, NaN and infinities.

    Where it may be written shorter, ``shorthand`` is the JSON schema of that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    shorthand: ClassVar[dict[str, Any] | None] = None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        whole = handler(core_schema)
        if cls.shorthand is None or handler.mode != "validation":
            return whole
        return {"anyOf": [cls.shorthand, whole]}


Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$", max_length=80)]
"""A name of a step, quantity, variable or worker: a letter, then letters, digits, ``_ . -``."""

NonNegative = Annotated[float, Field(ge=0)]
