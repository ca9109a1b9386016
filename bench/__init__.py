"""Benchmarks against real parts; each prints a table and writes build/bench/NAME.json."""
