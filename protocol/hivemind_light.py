"""hivemind without torch: the parts that talk to peers, and none of those that train.

``import hivemind.p2p`` runs ``hivemind/__init__.py`` first, which imports torch, scipy and every trainer: two seconds
and 290 MiB. ``hivemind.utils`` and ``hivemind.dht`` do the same for their own trainers. Nothing below them that a node
needs does. So these three packages are registered here as what they are without their ``__init__``: a name, a folder,
and the few attributes that the others take from them. What is imported through them is hivemind's own code, unchanged.

Import this module before anything of hivemind; whatever imports hivemind does. In a process that uses it,
``import hivemind`` gives the bare package. If the real one is there already, it is used.
"""

import importlib
import logging
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from protocol.errors import EnvironmentFault

_PACKAGES = ("hivemind", "hivemind.utils", "hivemind.dht")

_TAKEN_FROM_UTILS = {
    "hivemind.utils.logging": ("get_logger",),
    "hivemind.utils.serializer": ("MSGPackSerializer", "SerializerBase"),
    "hivemind.utils.timed_storage": ("DHTExpiration", "TimedStorage", "ValueWithExpiration", "get_dht_time"),
}


def _register() -> None:
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise EnvironmentFault(f"the package {name} is missing or damaged; install this program again")
        sys.modules[name] = _bare(spec)
    for source, names in _TAKEN_FROM_UTILS.items():
        module = importlib.import_module(source)
        for name in names:
            setattr(sys.modules["hivemind.utils"], name, getattr(module, name))


def _bare(spec: ModuleSpec) -> ModuleType:
    module = ModuleType(spec.name)
    module.__spec__ = spec
    module.__file__ = spec.origin
    module.__path__ = list(spec.submodule_search_locations or ())
    parent, _, child = spec.name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _quiet() -> None:
    """hivemind writes to stderr by a handler of its own and warns of every odd message: peers could fill a disk."""
    logger = logging.getLogger("hivemind")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.CRITICAL)


if "hivemind" not in sys.modules:
    _register()
_quiet()
