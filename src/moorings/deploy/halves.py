"""The two halves of Moorings: what each is called, and what its stack is called unless somebody says otherwise.

Apart from what deploys them, so that the command line can name them without loading an SDK.
"""

from enum import Enum

ENROLMENT_STACK = "moorings-enrolment"
PATCHING_STACK = "moorings-patching"


class Half(Enum):
    """What can be deployed for itself."""

    ENROLMENT = "enrolment"
    PATCHING = "patching"
