"""Tidegate keeps message consumers on time."""

__version__ = "0.1.0"
