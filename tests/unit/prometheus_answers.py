"""A loopback server that answers `/api/v1/query` and `/api/v1/query_range` from recorded samples.

Not a Prometheus: it knows `last_over_time(METRIC{…}[Ns])` and `group by (…) (…)`, the two things Tidegate asks, and
matches metrics by name only. What was asked is kept.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Samples = list[tuple[float, str]]
"""(seconds since the epoch, value as text), rising."""


@dataclass
class Answers:
    """Recorded series by metric, each with its labels."""

    series: dict[str, list[tuple[dict[str, str], Samples]]] = field(default_factory=dict)
    broken: tuple[int, bytes] | None = None
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def record(self, metric: str, samples: Samples, **labels: str) -> None:
        self.series.setdefault(metric, []).append((labels, samples))

    def result(self, path: str, asked: dict[str, str]) -> list[dict[str, Any]]:
        self.asked.append(asked["query"])
        found = re.search(r"last_over_time\((\w+)\{.*\}\[(\d+)s\]\)", asked["query"])
        assert found, asked["query"]
        known, window = self.series.get(found[1], []), int(found[2])
        if path.endswith("/query"):
            [grouping] = re.findall(r"^group by \((\w+)\)", asked["query"])
            names = {labels[grouping] for labels, samples in known if last(samples, float(asked["time"]), window)}
            return [{"metric": {grouping: name}, "value": [float(asked["time"]), "1"]} for name in sorted(names)]
        start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
        moments = [start + place * step for place in range(int((end - start) / step) + 1)]
        assert len(moments) <= 11_000, "exceeded maximum resolution of 11,000 points per timeseries"
        rows = (
            {"metric": labels, "values": [[at, seen] for at in moments if (seen := last(samples, at, window))]}
            for labels, samples in known
        )
        return [row for row in rows if row["values"]]


def last(samples: Samples, at: float, window: float) -> str | None:
    return next((value for time, value in reversed(samples) if at - window < time <= at), None)


@contextmanager
def answering(answers: Answers) -> Iterator[Answers]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = answers.broken or (200, b"")
            if not answers.broken:
                asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
                data = {"resultType": "matrix", "result": answers.result(parts.path, asked)}
                body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        answers.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()
