"""Merge methods, one family a file. Importing this package fills the registry; it imports no torch."""

from umm.methods import linear, overlap, pairs, pcb, robust, sce, spherical, stock, task_vectors
from umm.methods.registry import METHODS, Arguments, Base, Method, Parameter

__all__ = [
    "METHODS",
    "Arguments",
    "Base",
    "Method",
    "Parameter",
    "linear",
    "overlap",
    "pairs",
    "pcb",
    "robust",
    "sce",
    "spherical",
    "stock",
    "task_vectors",
]
