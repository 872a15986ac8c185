"""What the sections of a config are made of: sections, members of families, and lists of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
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
            key: str(item) if key in cls.model_fields and isinstance(item, str) else option(item)
            for key, item in value.items()
        }

    @property
    def options(self) -> dict[str, Any]:
        """The further keys, for `Registry.build`."""
        return dict(self.model_extra or {})


class EncoderChoice(Component):
    """An encoder by its name, with options, and what it begins with."""

    name: str = "gine"
    init: str | None = None
    """Run folder or bundle with the weights of such an encoder; None = random ones."""

    @field_validator("init", mode="before")
    @classmethod
    def _is_a_path(cls, value: Any) -> Any:
        return None if value is None or (isinstance(value, str) and value == "null") else value

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it was written when there was no `init`."""
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if key != "init" or value is not None}


def by_name(value: Any) -> Any:
    """A bare name stands for a component without options."""
    return {"name": value} if isinstance(value, str) else value


def _as_chain(value: Any) -> Any:
    return [by_name(part) for part in value] if isinstance(value, list | tuple) else [by_name(value)]


AComponent = Annotated[Component, BeforeValidator(by_name)]
AnEncoder = Annotated[EncoderChoice, BeforeValidator(by_name)]
AChain = Annotated[tuple[Component, ...], BeforeValidator(_as_chain), Field(min_length=1)]
