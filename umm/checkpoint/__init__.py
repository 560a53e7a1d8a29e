"""Model folders: strict reading, adapters, token alignment, atomic writing."""
