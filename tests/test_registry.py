"""Registries: names and options are checked, converted, and explained when wrong."""

from typing import Annotated

import pytest
from pydantic import Field

from screening.errors import ConfigError
from screening.registry import Registry, did_you_mean

shapes: Registry = Registry("shape")


@shapes.register("box")
class Box:
    def __init__(self, place: str, *, width: Annotated[int, Field(gt=0)] = 1, name: str = "") -> None:
        if name == "bad":
            raise ValueError("name is 'bad'; expected another.")
        self.place, self.width = place, width


def test_options_are_converted_to_their_type() -> None:
    assert shapes.build("box", "here", width="4").width == 4


def test_options_are_the_keyword_only_parameters() -> None:
    assert list(shapes.options("box")) == ["width", "name"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bax", {}, "There is no shape 'bax'. Did you mean 'box'"),
        ("mine", {}, "There is no shape 'mine'. Known: .* One of a plug-in needs its module in plugins"),
        ("box", {"widht": 3}, "no option 'widht'. Did you mean 'width'"),
        ("box", {"width": "wide"}, "option 'width' is 'wide'"),
        ("box", {"width": 0}, "greater than 0"),
        ("box", {"name": "bad"}, "expected another"),
        ("box", {"place": "there"}, "no option 'place'"),
    ],
)
def test_mistakes_are_explained(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shapes.build(name, "here", **options)


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match=r"test_registry\.py:\d+ and in .*test_registry\.py:\d+"):
        shapes.register("box")(dict)


def test_the_same_item_may_be_registered_again_as_a_reloaded_module_does() -> None:
    assert shapes.register("box")(Box) is Box


def test_known_names_are_listed() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "Known: a, b."
    assert did_you_mean("x", []) == "Known: none."


def test_a_message_does_not_list_hundreds_of_assays() -> None:
    text = did_you_mean("assay 5O1", [f"assay {number:03d}" for number in range(617)])
    assert text.startswith("Did you mean 'assay 5")
    assert text.endswith("and 557 more.")
