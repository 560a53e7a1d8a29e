"""Every error this room raises, split by whose fault it is.

::

    UmmError
    ├── RecipeError        the recipe's author: a key, a value, a combination that cannot be merged
    ├── CheckpointError    whoever made the model folder: malformed, truncated, hostile
    │   ├── MismatchError  folders that are each fine but do not line up with one another
    │   └── NotFiniteError NaN or infinity where numbers belong
    └── EnvironmentFault   this machine: disk full, memory budget too small, folder not writable

Each message says what was found, where, and what to do about it.
"""


class UmmError(Exception):
    """An error to show a person as one message, without a traceback."""


class RecipeError(UmmError):
    """The recipe is wrong; the message names the line, the key and, if there is one, the nearest valid key."""


class CheckpointError(UmmError):
    """A model folder cannot be trusted or understood."""


class MismatchError(CheckpointError):
    """Model folders do not line up; the message lists the tensors."""


class NotFiniteError(CheckpointError):
    """A model holds NaN or infinity; the message names the tensor."""


class EnvironmentFault(UmmError):
    """This machine cannot do what was asked."""
