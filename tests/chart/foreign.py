"""Tools of others that judge the chart, each pinned: checkov, and the Prometheus Operator's CRDs."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.stack.cache import Progress, cache_folder, made_once

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "checkov.txt"
PINS = Path(__file__).parent / "pins"
OPERATOR = "github.com/prometheus-operator/prometheus-operator"


def checkov(progress: Progress) -> Path:
    """The Python of checkov's own environment: it wants older packages than our tests do."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    name = f"checkov-{digest}-{sys.implementation.cache_tag}"
    return made_once(cache_folder() / name, lambda folder: _install(folder, progress), progress) / "bin" / "python"


def _install(folder: Path, progress: Progress) -> None:
    progress(f"Installing checkov into {folder.parent} (once; 200 MB, about a minute)")
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder)
    _run(uv, "pip", "sync", "--quiet", "--python", folder / "bin" / "python", "--require-hashes", LOCK)


def scan(python: Path, folder: Path) -> list[dict[str, Any]]:
    """Checkov's failed checks of the manifests in a folder, each with `check_id`, `resource` and `file_path`."""
    command = [python, "-m", "checkov.main", "-d", folder, "--framework", "kubernetes", "--output", "json"]
    options = ["--compact", "--quiet", "--skip-download", "--soft-fail"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR"}
    done = subprocess.run([*command, *options], env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, report["summary"]
    assert report["summary"]["passed"] > 100, "checkov has read next to nothing"
    failed: list[dict[str, Any]] = report["results"]["failed_checks"]
    return failed


def monitoring_crds() -> list[Path]:
    """The CRDs of ServiceMonitor and PrometheusRule as their project publishes them; go.sum has the digest."""
    go = Path(sysconfig.get_path("scripts")) / "go"
    told = _run(go, "mod", "download", "-json", OPERATOR, cwd=PINS, env={**os.environ, "GOWORK": "off", "GOFLAGS": ""})
    folder = Path(json.loads(told)["Dir"]) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in ("servicemonitors", "prometheusrules")]


def _run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command[:3]))}: {done.stderr or done.stdout}"
    return done.stdout
