"""A Prometheus that finds Tidegate's pods by the API server, as one in a cluster would, with the chart's alerts."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from demo.stack import StackError
from demo.stack.binaries import prometheus
from demo.stack.cache import Progress, tell
from demo.stack.ports import Ports
from demo.stack.processes import MARK
from demo.stack.release import Release
from tidegate.simulate.prometheus import Prometheus as Asked
from tidegate.simulate.prometheus import PrometheusError

ALERTS = Path(__file__).parents[2] / "charts/tidegate/files/alerts.yaml"
UP_WITHIN, DOWN_WITHIN = 60.0, 20.0
"""Seconds until it must be ready, and until it must have ended."""
FOUND = "__meta_kubernetes_pod_"


class Prometheus:
    """One process, ended by `close`, by the `with` block, or with the stack. `folder` has its data, config and log."""

    def __init__(self, release: Release, folder: Path, *, every: str = "2s", progress: Progress = tell) -> None:
        binary = prometheus(progress) / "prometheus"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yaml"
        found = configuration(release.stack.kubeconfig, release.namespace, every)
        config.write_text(yaml.safe_dump(found, sort_keys=False))
        self._ports, self._log = Ports(), folder / "prometheus.log"
        address = f"127.0.0.1:{self._ports.take()}"
        self.url = f"http://{address}"
        self.asked = Asked(self.url)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={address}",
                ],
                env={**os.environ, MARK: str(release.stack.folder)},  # so that it ends with the stack, whatever happens
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        """Until it answers. StackError with the end of its log if it ends or is late."""
        deadline = time.monotonic() + UP_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                told = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
                self.close()
                raise StackError(f"Prometheus did not come up; the end of its log:\n{told}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return bool(self.asked.now("vector(1)", time.time()))
        except PrometheusError:
            return False

    def close(self) -> None:
        """End it, such that its data is whole."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(DOWN_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ports.close()

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def configuration(kubeconfig: Path, namespace: str, every: str) -> dict[str, Any]:
    """As the chart's ServiceMonitor has it: the port `http` of each pod, and its own labels before the scrape's."""
    keep = {"action": "keep", "source_labels": [f"{FOUND}label_app_kubernetes_io_name", f"{FOUND}container_port_name"]}
    named = {"namespace": "__meta_kubernetes_namespace", "pod": f"{FOUND}name"}
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {
                "job_name": "tidegate",
                "honor_labels": True,
                "kubernetes_sd_configs": [
                    {"role": "pod", "kubeconfig_file": str(kubeconfig), "namespaces": {"names": [namespace]}}
                ],
                "relabel_configs": [
                    keep | {"regex": "tidegate;http"},
                    *({"source_labels": [found], "target_label": label} for label, found in named.items()),
                ],
            }
        ],
    }
