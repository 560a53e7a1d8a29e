"""Heavy work in child processes with limits, so that no model that a stranger wrote takes the node down.

``run_job`` is for the daemon and loads nothing heavy; what the child does lies behind ``python -m node.worker``.
"""

from node.worker.parent import run_job

__all__ = ["run_job"]
