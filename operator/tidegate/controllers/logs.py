"""Log lines for people (text) and for collectors (JSON, one object a line)."""

import json
import logging
import sys
import time

from tidegate.controllers.settings import LogFormat, LogLevel

LIBRARIES = {
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
    "kafka": logging.CRITICAL,  # its troubles are in what the source answers, and told once
    "kopf": logging.WARNING,
    "kopf._core.reactor.observation": logging.ERROR,  # that KEDA's kinds are not there (the roll calls miss ours)
    "kopf._core.reactor.running": logging.ERROR,  # that it leaves signals to us
    "openfeature": logging.CRITICAL,  # rules that miss something in a context: as often as somebody asks
}
"""The least severe lines of libraries that are written unless all are."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, and the items of `extra={"about": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`time level logger: message`, times in UTC."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self.converter = time.gmtime


def set_up(level: LogLevel, form: LogFormat) -> None:
    """Write log lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, least in LIBRARIES.items():
        logging.getLogger(name).setLevel(logging.DEBUG if level is LogLevel.DEBUG else least)
