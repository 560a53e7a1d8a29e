"""Where a node keeps what it has. One folder; with ``UMM_HOME`` set, that one, config included."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from node.errors import UserError

VARIABLE = "UMM_HOME"

MAX_SOCKET_BYTES = 100
"""The system's limit for the path of a socket is 104 bytes on macOS, 108 on Linux."""


@dataclass(frozen=True)
class Home:
    """The folder of a node's data, and the file of its settings."""

    folder: Path
    config: Path

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> "Home":
        """``$UMM_HOME``, else the folders that the system provides (XDG on Linux)."""
        if given := environment.get(VARIABLE):
            try:
                folder = Path(given).expanduser().absolute()
            except RuntimeError as error:
                raise UserError(f"{VARIABLE} is {given!a}: {error}; give the folder in full") from None
            return cls(folder, folder / "config.toml")
        own = PlatformDirs("umm", appauthor=False)
        return cls(own.user_data_path, own.user_config_path / "config.toml")

    @property
    def key(self) -> Path:
        """The node's key."""
        return self.folder / "key.pem"

    @property
    def database(self) -> Path:
        """Records, rounds and jobs."""
        return self.folder / "node.db"

    @property
    def store(self) -> Path:
        """Blobs."""
        return self.folder / "store"

    @property
    def contributions(self) -> Path:
        """What this node offers: a folder for each contribution, under its id."""
        return self.folder / "contributions"

    @property
    def bases(self) -> Path:
        """Base models as folders, under their roots."""
        return self.folder / "bases"

    @property
    def models(self) -> Path:
        """Merged models as folders, under their roots; the node serves them from here."""
        return self.folder / "models"

    @property
    def work(self) -> Path:
        """Folders of jobs that are not finished. Removed when they are."""
        return self.folder / "work"

    @property
    def log(self) -> Path:
        """What the daemon has to say."""
        return self.folder / "node.log"

    @property
    def socket(self) -> Path:
        """Where the daemon listens for commands."""
        return self.folder / "control.sock"
