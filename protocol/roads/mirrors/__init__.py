"""Web servers, folders and the hub of Hugging Face as sources: they hold files and know nothing of blobs."""

from protocol.roads.mirrors.mirror import Mirror
from protocol.roads.mirrors.road import MirrorRoad

__all__ = ["Mirror", "MirrorRoad"]
