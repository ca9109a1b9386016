"""`report`: what somebody else needs to help, in one archive, without secrets."""

from tidegate.cli.kubectl.report.bundle import report

__all__ = ["report"]
