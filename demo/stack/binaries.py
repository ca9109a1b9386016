"""The programs of the stack, built or resolved once from pinned sources into the user's cache folder.

Kubernetes with etcd, Helm and Prometheus are compiled from their Go modules (`pins/NAME/go.mod`, `go.sum`); Kafka's
jars are resolved by jgo and compared with `pins/kafka.sha256`. Each is made when it is first asked for. Nothing is
taken from PATH.
"""

import hashlib
import shutil
from pathlib import Path

import jgo

from demo.stack.cache import Progress, cache_folder, made_once
from demo.stack.golang import PINS, BuildError, GoPrograms

__all__ = ["BuildError", "helm", "kafka", "kubernetes", "kubernetes_version", "prometheus"]

KAFKA_VERSION = "4.4.0"
KAFKA_COORDINATE = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
KUBERNETES = GoPrograms(
    name="kubernetes",
    title="Kubernetes",
    module="k8s.io/kubernetes",
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    },
    stamps={
        "k8s.io/component-base/version.gitVersion": "{version}",
        "k8s.io/client-go/pkg/version.gitVersion": "{version}",
    },
    minutes="6 minutes",
)
HELM = GoPrograms(
    name="helm",
    title="Helm",
    module="helm.sh/helm/v3",
    packages={"helm": "helm.sh/helm/v3/cmd/helm"},
    stamps={
        "helm.sh/helm/v3/internal/version.version": "{version}",
        # what `helm template` takes for the cluster's version where it is not told: that of the stack
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": KUBERNETES.version.split(".")[1],
        "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": KUBERNETES.version.split(".")[1],
    },
    minutes="2 minutes",
)
PROMETHEUS = GoPrograms(
    name="prometheus",
    title="Prometheus",
    module="github.com/prometheus/prometheus",
    packages={
        "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
        "promtool": "github.com/prometheus/prometheus/cmd/promtool",
    },
    stamps={"github.com/prometheus/common/version.Version": "{version}"},
    minutes="3 minutes",
    # of the service discoveries the cloud's are left out, which are most of what there is to compile
    tags=("netgo", "remove_all_sd", "enable_kubernetes_sd"),
)


def kubernetes(progress: Progress) -> Path:
    """The folder with etcd, the Kubernetes servers and kubectl."""
    return KUBERNETES.built(progress)


def kubernetes_version() -> str:
    """The pinned version, such as `v1.36.3`."""
    return KUBERNETES.version


def helm(progress: Progress) -> Path:
    """The folder with helm."""
    return HELM.built(progress)


def prometheus(progress: Progress) -> Path:
    """The folder with prometheus and promtool; its web pages are left out, not its API."""
    return PROMETHEUS.built(progress)


def kafka(progress: Progress) -> Path:
    """The folder with Kafka's jars; about 20 seconds the first time."""
    pins = hashlib.sha256((PINS / "kafka.sha256").read_bytes()).hexdigest()[:8]
    return made_once(
        cache_folder() / f"kafka-{KAFKA_VERSION}-{pins}", lambda folder: _resolve(folder, progress), progress
    )


def _resolve(folder: Path, progress: Progress) -> None:
    progress(f"Fetching Kafka {KAFKA_VERSION} into {folder.parent} (once; about 20 seconds)")
    environment = jgo.build(KAFKA_COORDINATE, cache_dir=folder / "jgo")
    for jar in environment.path.rglob("*.jar"):
        shutil.copy(jar, folder / jar.name)
    shutil.rmtree(folder / "jgo")
    pinned = (line.split() for line in (PINS / "kafka.sha256").read_text().splitlines())
    wanted = {name: digest for digest, name in pinned}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    if different:
        raise BuildError(f"these jars are not the pinned ones (pins/kafka.sha256): {', '.join(different)}")
