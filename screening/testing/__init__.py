"""What must hold for every member of a family: checks for members of ours and of plug-ins.

Each check is a plain function that takes a `Subject`, a member with its options, and raises AssertionError
with numbers where the contract of the family is broken. `screening check my_module.py` runs them; so may the
tests of a plug-in:

>>> from screening.testing import Subject, check_member
>>> [finding.problem for finding in check_member("split", Subject("random"))]
['', '', '', '', '', '']
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .running import Finding as Finding
    from .running import check_member as check_member
    from .running import check_plugin as check_plugin
    from .running import checks_of as checks_of
    from .subjects import Subject as Subject

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Finding": "running",
        "Subject": "subjects",
        "check_member": "running",
        "check_plugin": "running",
        "checks_of": "running",
    },
)
