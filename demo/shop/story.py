"""`make demo`: a flash crowd outgrows the partitions of the points service, on real parts.

Tidegate scales out to the ceiling and proposes more partitions. Until a person has approved them, features that may be
missing for a while go off, one by one; more consumers than before drain what waits, and the features come back.
"""

import csv
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import NamedTuple

import stamina
import yaml
from kafka.errors import KafkaError
from rich.console import Console

from demo.monitoring import PANELS, Prometheus, asked, draw_panels, grid
from demo.shop import summary as accounts
from demo.shop.broker import Broker
from demo.shop.cluster import Cluster
from demo.shop.features import sightings
from demo.shop.ledger import Ledger
from demo.shop.levels import ladder
from demo.shop.people import People
from demo.shop.picture import Course, draw
from demo.shop.producer import Orders
from demo.shop.recorder import Recorder, Waiting, since
from demo.shop.trace import Trace, load
from demo.shop.view import view
from demo.stack import Stack, StackError, binaries
from demo.stack.binaries import BuildError
from demo.stack.release import Release
from tidegate.simulate.prometheus import PrometheusError

CHECKOUT = Path(__file__).parents[2]
RESULTS = CHECKOUT / "build" / "demo"
SIGHTINGS = RESULTS / "sightings.jsonl"
MANIFESTS = Path(__file__).parent / "manifests"
TOPIC, PARTITIONS, GROUP, NAMESPACE = "points.deduct", 4, "points-service", "shop"
DEPLOYMENT, POLICY, FLAGS = "points-consumer", "points", "points-flags"
SERVICES = (GROUP, "storefront")
"""Those that obey the flags, as they call themselves where they note what they see."""
PROMISE = 45.0
SERVICE_RATE = 50.0
PEAK = 7.4 * SERVICE_RATE
"""Arrivals at the crowd's height, records/s: more than seven consumers can do, and there are partitions for four. With
both features off four can do what seven can."""
REFRESH = 6.0
"""Seconds at most until the orders go to new partitions too: until then what waits in the old has all consumers."""
BEFORE, AFTER = 15, 150
"""Seconds of quiet load around the trace: to begin with, and at most until all features are on again."""
SEEN = 8.0
"""Seconds within which all services see a switch; records are what makes consumers look."""
RESTORING = 65
"""Seconds about that it takes after the crowd until all features are on again, for who watches."""
SEED = 1995


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


class Run(NamedTuple):
    """What one play left behind."""

    orders: Orders
    recorder: Recorder
    cluster: Cluster
    start: float
    end: float
    people: People


def main() -> int:
    """Play the demo; 0 if nothing was lost or applied twice, the promise held and all came as it should.

    That is: the partitions grew, the ladder was climbed and left again, and the flags are as they were before.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: everything is ended on the way out
    stamina.instrumentation.set_on_retry_hooks([])  # a retry is no news here
    console = Console()
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    try:
        found = demo(console)
    except KeyboardInterrupt:
        console.print("Stopped; everything that was started has ended.")
        return 130
    except (DemoError, StackError, BuildError, KafkaError) as error:
        console.print(f"The demo could not be played: {error}", style="red", markup=False, soft_wrap=True)
        console.print(f"Logs are in {RESULTS.relative_to(CHECKOUT)}/logs.")
        return 1
    return tell(console, found)


def demo(console: Console) -> accounts.Summary:
    """Start everything, play, end everything; the figures of the run."""
    began = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - began:3.0f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    for build in (binaries.helm, binaries.prometheus):
        build(progress)
    with ExitStack() as closing:
        progress("Starting Kubernetes and Kafka…")
        stack = closing.enter_context(Stack.start(progress=progress))
        closing.callback(_keep_logs, stack)
        assert stack.kafka
        ledger = Ledger(RESULTS / "ledger.sqlite")
        closing.callback(ledger.close)
        broker = Broker(stack.kafka.bootstrap, TOPIC, GROUP)
        closing.callback(broker.close)
        broker.create_topic(PARTITIONS)
        broker.look()  # a Kafka in use has loaded its group coordinators
        progress("Installing Tidegate by Helm, a Prometheus beside it, the points service and its LagPolicy…")
        release = install_tidegate(stack)
        prometheus = closing.enter_context(Prometheus(release, RESULTS / "prometheus", progress=progress))
        install_shop(stack, release)
        cluster = Cluster(stack.kubeconfig, NAMESPACE, DEPLOYMENT, POLICY, FLAGS)
        closing.callback(cluster.close)
        wait_for_a_reading(release, cluster)
        orders = Orders(stack.kafka.bootstrap, TOPIC, refresh=REFRESH)
        recorder = Recorder(broker, cluster, Waiting(orders, ledger), SERVICE_RATE)
        people = People(
            stack, cluster, NAMESPACE, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
        )
        progress("Here they come.")
        with people.at_work():
            run = play(console, orders, recorder, cluster, people)
        progress("Comparing the ledger with what was produced…")
        found = account(run, ledger)
        _keep_policy(cluster)
        progress("Asking Prometheus what the dashboard asks…")
        try:
            draw_dashboard(prometheus, run)
        except PrometheusError as error:
            progress(f"There is no picture of the dashboard: {error}")
        return found


def install_tidegate(stack: Stack) -> Release:
    """By its chart, as a user would; done when both replicas are ready."""
    release = Release(stack)
    release.install(yaml.safe_load((MANIFESTS / "values.yaml").read_text()))
    return release


def install_shop(stack: Stack, release: Release) -> None:
    """The services, their policy and the people, as a user would with kubectl.

    The storefront asks one of the replicas for its flags. In a cluster with Services it would ask tidegate-ofrep.
    """
    assert stack.kafka
    values = {
        "KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
        "LEDGER": str(RESULTS / "ledger.sqlite"),
        "SIGHTINGS": str(SIGHTINGS),
        "OFREP_URL": f"http://{release.replicas[0].ip}:8016",
    }
    for name in ("namespaces", "people", "flags", "consumer", "storefront", "policy"):
        stack.apply(Template((MANIFESTS / f"{name}.yaml").read_text()).substitute(values))


def wait_for_a_reading(release: Release, cluster: Cluster, seconds: float = 60) -> None:
    """Wait for the first consumer and the first reading; DemoError with the words of the operator if they stay away."""
    deadline = time.monotonic() + seconds
    while not (cluster.ready and cluster.observing and cluster.documents):
        if time.monotonic() > deadline:
            what = "consumer was ready" if not cluster.ready else "whole reading of Tidegate came"
            told = release.kubectl("logs", "-l", "app.kubernetes.io/component=operator", "--prefix", "--tail=15")
            raise DemoError(f"no {what} within {seconds:.0f} s; the operator's last lines:\n{told}")
        time.sleep(0.2)


def play(console: Console, orders: Orders, recorder: Recorder, cluster: Cluster, people: People) -> Run:
    """Play the trace, show it, and wait until every message is applied."""
    crowd = load().scaled(PEAK)
    trace = crowd.surrounded(BEFORE, AFTER)
    start = time.time()
    with view(console, cluster, start, PROMISE) as show, _producing(orders, trace) as producing:
        for _ in _seconds(start):
            sample = recorder.take()
            show(recorder.samples, BEFORE + crowd.seconds + RESTORING)
            passed = sample.at - start
            if passed > BEFORE + crowd.seconds and not sample.level and sample.at - cluster.documents[-1].at > SEEN:
                orders.stop()
            if not producing.is_alive() and sample.age == 0 and not sample.level:
                break
            if passed > trace.seconds + 3 * PROMISE:
                break  # the account will show what is missing
    return Run(orders, recorder, cluster, start, time.time(), people)


@contextmanager
def _producing(orders: Orders, trace: Trace) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=orders.play, args=(trace.arrivals(SEED),), name="orders")
    thread.start()
    try:
        yield thread
    finally:
        orders.stop()
        thread.join()


def _seconds(start: float) -> Iterator[int]:
    """Ticks of a clock that does not drift."""
    tick = 0
    while True:
        tick += 1
        time.sleep(max(0, start + tick - time.time()))
        yield tick


def account(run: Run, ledger: Ledger) -> accounts.Summary:
    """Compare, and write summary.json, produced.csv, samples.csv and demo.png."""
    produced, postings = run.orders.acknowledged, ledger.postings()
    scales = since(run.cluster.scales, run.start)
    samples = run.recorder.samples
    figures = accounts.account(produced, postings, ledger.balances(), PROMISE)
    growth = accounts.growth([(sample.at, sample.partitions) for sample in samples], run.people.decided, run.start)
    levels = ladder(run.cluster.changes, run.cluster.documents, sightings(SIGHTINGS), SERVICES, run.start)
    found = accounts.summarise(figures, len(produced), PROMISE, scales, run.recorder.loads(), growth, levels, run.end)
    (RESULTS / "summary.json").write_text(json.dumps(asdict(found), indent=2) + "\n")
    _table("produced.csv", ("id", "user", "points", "at"), ((*deduction, at) for deduction, at in produced))
    _table("samples.csv", samples[0]._fields, samples)
    course = Course(
        at=[sample.at - run.start for sample in samples],
        arriving=[sample.arriving for sample in samples],
        served=[sample.served for sample in samples],
        age=accounts.ages(produced, postings, [sample.at for sample in samples]),
        ready=[sample.ready for sample in samples],
        partitions=[sample.partitions for sample in samples],
        each=[sample.each for sample in samples],
    )
    moved = [accounts.Scale(scale.at - run.start, scale.replicas) for scale in scales]
    draw(RESULTS / "demo.png", course, moved, found)
    return found


def draw_dashboard(prometheus: Prometheus, run: Run) -> None:
    """dashboard.png: the chart's dashboard as it was in the play."""
    moments = grid(run.start, run.end)
    draw_panels(RESULTS / "dashboard.png", asked(prometheus.asked, PANELS, moments, "20s"), moments, run.start)


def tell(console: Console, found: accounts.Summary) -> int:
    """The figures in words, and the exit code."""
    for line in found.lines():
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"Picture, figures, ledger and logs: {RESULTS.relative_to(CHECKOUT)}/")
    for failure in found.failures():
        console.print(f"FAILED: {failure}", style="bold red", markup=False)
    if not found.failures():
        console.print("Every message was applied once, and on time.", style="bold green")
    return 1 if found.failures() else 0


def _table(name: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _keep_policy(cluster: Cluster) -> None:
    shown = {**cluster.policy, "metadata": {name: cluster.policy["metadata"][name] for name in ("name", "namespace")}}
    (RESULTS / "lagpolicy.yaml").write_text(yaml.safe_dump(shown, sort_keys=False))


def _keep_logs(stack: Stack) -> None:
    shutil.copytree(stack.folder / "logs", RESULTS / "logs", dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
