"""Generators used by `make generate` and `make lint`; no part of the operator."""
