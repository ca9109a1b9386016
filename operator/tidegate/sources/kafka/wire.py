"""Connections to brokers: one each, opened when needed, every request with a deadline, every failure in words.

kafka-python's connections, transports and codecs do the work. Which broker is asked, and when it is given up, is
decided here: a reading has only seconds, and must tell one broker's trouble from another's.
"""

import errno
import os
import socket
import ssl
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from kafka import errors
from kafka.future import Future
from kafka.net.connection import KafkaConnection
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from tidegate.sources.kafka.settings import CLIENT_ID, Address, Settings
from tidegate.sources.kafka.trouble import Trouble, Unreachable, unreachable

T = TypeVar("T")

CONNECT_SECONDS = 2.0  # for TCP, TLS and authentication together, while others wait
BACKOFF = 0.25, 5.0  # seconds before a broker that failed is tried again: at first, and at most
REFUSED_BACKOFF = 30.0  # where it would not let us in: accounts get locked by eager clients
LARGEST = 512 << 20  # bytes of an answer
_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))


class Answer(NamedTuple):
    """A broker's answer, and when it came (seconds since the epoch)."""

    response: Any
    at: float


@dataclass(slots=True)
class _Link:
    """What is known of the way to one broker."""

    opening: Future | None = None  # done: the connection
    failures: int = 0
    retry_at: float = 0.0
    trouble: Unreachable | None = None


class Wire:
    """All connections of one source. Its coroutines run inside `run`, on the thread that calls it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._net = NetworkSelector(client_id=CLIENT_ID, slow_task_threshold_secs=0)
        self._links: dict[Address, _Link] = {}
        self.requests = 0
        self.answers = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, after what came since the last time: ends of connections and of waits."""

        async def settled() -> T:
            await self._net.sleep(0)
            return await work

        result: T = self._net.run(settled)
        return result

    async def together(self, jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T | Trouble]:
        """Run all at the same time; a Trouble that one raises stands in its place."""
        futures = [self._net.call_soon_with_future(job) for job in jobs]
        return [await _outcome(future) for future in futures]

    async def ask(self, address: Address, request: Any, deadline: float) -> Answer:
        """Send a request and wait for its answer. `deadline` is of time.monotonic(). Raises Unreachable.

        A connection that ended since it was last used is opened anew.
        """
        reused = self.is_open(address)
        connection = await self._connection(address, deadline)
        self.requests += 1
        try:
            timeout = max(deadline - time.monotonic(), 0.001) * 1000
            response = await connection.send_request(request, request_timeout_ms=timeout)
        except Exception as error:  # whatever kafka-python meets, the broker is what cannot be read
            late = isinstance(error, errors.RequestTimedOutError | errors.KafkaTimeoutError)
            if reused and connection.closed and not late:
                return await self.ask(address, request, deadline)
            raise self._failed(address, error, rest=connection.closed) from error
        self.answers += 1
        self._links[address].failures = 0
        return Answer(response, time.time())

    async def versions(self, address: Address, deadline: float) -> Any:
        """The broker's versions of the protocol (kafka-python's BrokerVersionData). Raises Unreachable."""
        return (await self._connection(address, deadline)).broker_version_data

    async def version(self, address: Address, request: Any, deadline: float, most: int) -> int:
        """The newest version, up to `most`, of a request that the broker and we know. Raises Unreachable."""
        versions = await self.versions(address, deadline)
        try:
            return int(versions.api_version(request, max_version=most))
        except errors.IncompatibleBrokerVersion as error:
            raise unreachable(error, str(address)) from error

    def is_open(self, address: Address) -> bool:
        """Whether a connection is there."""
        link = self._links.get(address)
        return bool(link and link.opening and link.opening.succeeded() and link.opening.value.connected)

    def rests(self, address: Address) -> bool:
        """Whether a broker failed so recently that it is left alone."""
        link = self._links.get(address)
        return bool(link and link.retry_at > time.monotonic())

    def hang_up(self, address: Address) -> None:
        """Close the connection to a broker, with all that it was asked; the next request opens another."""
        if address in self._links:
            _close(self._links.pop(address))

    def keep_only(self, addresses: Iterable[Address]) -> None:
        """Close the connections to all others."""
        kept = set(addresses)
        for address in [address for address in self._links if address not in kept]:
            self.hang_up(address)

    def open_connections(self) -> int:
        """How many connections are open."""
        return sum(map(self.is_open, self._links))

    def close(self) -> None:
        """End everything."""
        self.keep_only(())
        self._net.close()

    async def _connection(self, address: Address, deadline: float) -> Any:
        link = self._links.setdefault(address, _Link())
        if link.opening is None or (link.opening.is_done and not self.is_open(address)):
            if link.trouble and self.rests(address):
                raise link.trouble.with_traceback(None)
            link.opening = self._net.call_soon_with_future(self._opened(address, deadline))
        return await link.opening

    async def _opened(self, address: Address, deadline: float) -> Any:
        try:
            return await self._open(address, min(deadline, time.monotonic() + CONNECT_SECONDS))
        except Exception as error:
            raise self._failed(address, error) from error

    def _failed(self, address: Address, error: Exception, rest: bool = True) -> Unreachable:
        """The trouble in words; with `rest`, the broker is left alone for a while."""
        trouble = unreachable(error, str(address))
        link = self._links.get(address)
        if link and rest:
            first, most = BACKOFF
            seconds = REFUSED_BACKOFF if trouble.refused else min(first * 2**link.failures, most)
            link.failures, link.retry_at, link.trouble = link.failures + 1, time.monotonic() + seconds, trouble
        return trouble

    async def _open(self, address: Address, deadline: float) -> Any:
        transport = self._transport(await self._dial(address, deadline), address)
        try:
            await _shake(self._net, transport, deadline)
        except BaseException:
            transport.close()
            raise
        connection = KafkaConnection(
            self._net,
            node_id=str(address),
            client_id=CLIENT_ID,
            client_software_name=CLIENT_ID,
            receive_message_max_bytes=LARGEST,
            max_in_flight_requests_per_connection=1 << 20,  # it refuses what is above, instead of letting it wait
            security_protocol=self._settings.security_protocol,
            **self._settings.sasl,
        )
        connection.connection_made(transport)
        await connection.initialize(timeout_at=deadline)
        await connection.init_future
        return connection

    async def _dial(self, address: Address, deadline: float) -> socket.socket:
        error: Exception = OSError(f"{address.host} has no address")
        for family, kind, protocol, _, target in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            connecting = socket.socket(family, kind, protocol)
            try:
                await self._connect(connecting, target, deadline)
            except (OSError, errors.KafkaTimeoutError) as failed:
                connecting.close()
                error = failed
            else:
                return connecting
        raise error

    async def _connect(self, connecting: socket.socket, target: Any, deadline: float) -> None:
        connecting.setblocking(False)
        for option in _OPTIONS:
            connecting.setsockopt(*option)
        code = connecting.connect_ex(target)
        if code == errno.EINPROGRESS:
            await self._net.wait_write(connecting, deadline)
            code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _transport(self, connected: socket.socket, address: Address) -> Any:
        if self._settings.tls is None:
            return _Plain(self._net, connected, host=address.host)
        return _Tls(self._net, connected, host=address.host, ssl_context=self._settings.tls)


class _LastWords:
    """Hands over what came before the end of a connection: a broker says why it refuses us, and hangs up at once."""

    def _sock_recv(self) -> tuple[bytes, Exception | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error


class _Plain(_LastWords, KafkaTCPTransport):  # type: ignore[misc]
    """TCP."""


class _Tls(_LastWords, KafkaSSLTransport):  # type: ignore[misc]
    """TLS."""


async def _shake(net: Any, transport: Any, deadline: float) -> None:
    """TLS's handshake, as kafka-python's own but with a deadline."""
    if not isinstance(transport, KafkaSSLTransport):
        return
    while True:
        try:
            transport._sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            await net.wait_read(transport._sock, deadline)
        except ssl.SSLWantWriteError:
            await net.wait_write(transport._sock, deadline)


async def _outcome(future: Any) -> Any:
    try:
        return await future
    except Trouble as trouble:
        return trouble


def _close(link: _Link) -> None:
    if link.opening and link.opening.succeeded():
        link.opening.value.close()
