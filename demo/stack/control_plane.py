"""The Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler on the loopback."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from demo.stack.certificates import Authority, Pair, signing_key
from demo.stack.kubectl import kubeconfig, kubectl
from demo.stack.ports import Ports
from demo.stack.processes import Processes

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
)
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ControlPlane:
    """A running control plane; users are client certificates (common name: user, organizations: groups)."""

    def __init__(self, processes: Processes, binaries: Path, ports: Ports) -> None:
        self.folder = processes.folder / "kubernetes"
        self.authority = Authority(self.folder / "certificates")
        self.port = ports.take()
        self.server = f"https://127.0.0.1:{self.port}"
        self.audit_log = self.folder / "audit.log"
        self._binaries = binaries
        self._processes = processes
        self._admin = self.authority.issue("admin", ["system:masters"])
        self.kubeconfig = self._kubeconfig("admin", self._admin)
        self._start_etcd(ports)
        self._start_api_server()
        self._start_controllers()

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of a user of that name, who has no rights but those of the groups and of RBAC bindings."""
        return self._kubeconfig(name, self.authority.issue(f"user-{name}", groups, common_name=name))

    def ready(self) -> bool:
        """Whether the API server says so."""
        return self.ask("get", "--raw", "/readyz") == "ok"

    def ask(self, *arguments: str) -> str:
        """What kubectl prints, nothing where it fails."""
        return kubectl(self._binaries / "kubectl", self.kubeconfig, "--request-timeout=5s", *arguments).stdout

    def _kubeconfig(self, name: str, pair: Pair) -> Path:
        path = self.folder / f"{name}.kubeconfig"
        user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
        cluster = {"server": self.server, "certificate-authority": str(self.authority.ca.certificate)}
        path.write_text(yaml.safe_dump(kubeconfig(cluster, user, name)))
        return path

    def _start_etcd(self, ports: Ports) -> None:
        client, peer = (f"http://127.0.0.1:{ports.take()}" for _ in range(2))
        self._etcd = client
        flags = {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "log-level": "warn",
        }
        # its data does not outlive the stack, so it need not reach the disk
        self._processes.start("etcd", [self._binaries / "etcd", *_flags(flags), "--unsafe-no-fsync"])

    def _start_api_server(self) -> None:
        policy = self.folder / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        tokens = signing_key(self.folder / "service-accounts.key")
        serving = self.authority.issue("kube-apiserver")
        kubelet_client = self.authority.issue("kube-apiserver-kubelet-client")
        ca = self.authority.ca.certificate
        flags = {
            "etcd-servers": self._etcd,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
            "client-ca-file": ca,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": tokens,
            "service-account-signing-key-file": tokens,
            "service-cluster-ip-range": "10.96.0.0/24",
            "endpoint-reconciler-type": "none",  # endpoints may not be on the loopback
            "authorization-mode": "RBAC",
            # no node controller runs here that would take the taint away again
            "disable-admission-plugins": "TaintNodesByCondition",
            "allow-privileged": "true",
            "kubelet-certificate-authority": ca,
            "kubelet-client-certificate": kubelet_client.certificate,
            "kubelet-client-key": kubelet_client.key,
            "kubelet-preferred-address-types": "InternalIP",
            "audit-policy-file": policy,
            "audit-log-path": self.audit_log,
            "profiling": "false",
        }
        process = self._processes.start("kube-apiserver", [self._binaries / "kube-apiserver", *_flags(flags)])
        self._processes.wait_until(self.ready, "kube-apiserver", process)

    def _start_controllers(self) -> None:
        common = {"kubeconfig": self.kubeconfig, "leader-elect": "false", "secure-port": 0, "profiling": "false"}
        manager = common | {
            "controllers": ",".join(CONTROLLERS),
            "service-account-private-key-file": self.folder / "service-accounts.key",
            "root-ca-file": self.authority.ca.certificate,
            "horizontal-pod-autoscaler-sync-period": "5s",
            "kube-api-qps": 200,
            "kube-api-burst": 400,
        }
        scheduler = common | {"kube-api-qps": 200, "kube-api-burst": 400}
        for name, flags in (("kube-controller-manager", manager), ("kube-scheduler", scheduler)):
            self._processes.start(name, [self._binaries / name, *_flags(flags)])


def _flags(flags: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]
