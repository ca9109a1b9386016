"""Kubernetes, read and written: targets by /scale, pods, who else owns a target, status, Events, Secrets."""
