"""The maths: files in, files out. No network, no keys, no clock."""

__version__ = "0.1.0"
