"""Traces, worlds, peers and the optimum: what a policy would have done, played against the very same engine."""
