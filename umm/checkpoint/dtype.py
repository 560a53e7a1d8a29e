"""The floating-point types a checkpoint may hold."""

from enum import Enum


class Dtype(Enum):
    """One safetensors floating-point type: its spelling in a header, in a recipe and its width in bytes.

    ``code`` is what the kernels switch on.
    """

    BF16 = ("BF16", "bfloat16", 2, 0)
    F16 = ("F16", "float16", 2, 1)
    F32 = ("F32", "float32", 4, 2)

    def __init__(self, header: str, recipe: str, width: int, code: int) -> None:
        self.header = header
        self.recipe = recipe
        self.width = width
        self.code = code

    @classmethod
    def from_header(cls, spelling: str) -> "Dtype | None":
        """The type a safetensors header spells so, or None when it is not a float we merge."""
        return next((d for d in cls if d.header == spelling), None)

    @classmethod
    def from_recipe(cls, spelling: str) -> "Dtype | None":
        """The type a recipe spells so (``bfloat16``, ``torch.bfloat16``), or None."""
        return next((d for d in cls if d.recipe == spelling.removeprefix("torch.")), None)
