"""What the sections of a config are made of: sections, members of families, and lists of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .plain_yaml import option, typed

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the config; unknown keys are errors, values cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_typed(cls, value: Any, info: ValidationInfo) -> Any:
        """Names are the texts that were typed; other unquoted words are what YAML takes them for."""
        return typed(value, cls.model_fields[info.field_name or ""].annotation)


class Component(BaseModel):
    """A member of a registered family: its name, and its options as further keys."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _as_typed(cls, value: Any) -> Any:
        """Options stay as typed until the registry, which knows their types, sees them."""
        if not isinstance(value, Mapping):
            return value
        return {
            key: str(item) if key == "name" and isinstance(item, str) else option(item)
            for key, item in value.items()
        }

    @property
    def options(self) -> dict[str, Any]:
        """The further keys, for `Registry.build`."""
        return dict(self.model_extra or {})


def by_name(value: Any) -> Any:
    """A bare name stands for a component without options."""
    return {"name": value} if isinstance(value, str) else value


def _as_chain(value: Any) -> Any:
    return [by_name(part) for part in value] if isinstance(value, list | tuple) else [by_name(value)]


AComponent = Annotated[Component, BeforeValidator(by_name)]
AChain = Annotated[tuple[Component, ...], BeforeValidator(_as_chain), Field(min_length=1)]
