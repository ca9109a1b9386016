"""One LagPolicy in one cycle: its reading and its target → the engine → /scale → status and Events."""

import logging
from typing import NamedTuple

from tidegate.api import LagPolicy, Reason
from tidegate.cluster.announcements import announce
from tidegate.cluster.conditions import condition, set_condition
from tidegate.cluster.judgement import Outcome
from tidegate.cluster.scaling import Scaled, scale
from tidegate.cluster.status import build_status
from tidegate.cluster.workloads import Workload, not_found, read_workload
from tidegate.controllers.charge import Charge, newest, observe
from tidegate.controllers.connections import Client
from tidegate.controllers.degrading import Look, carry_out, describe, flags_of, look
from tidegate.controllers.services import Services
from tidegate.controllers.world import name_of
from tidegate.engine import Decision, Reading, ReadingError, step
from tidegate.engine.observation import Objection, Observation
from tidegate.sources import WantedGroup

logger = logging.getLogger(__name__)


def wanted_group(policy: LagPolicy, *, describe: bool) -> WantedGroup:
    """What to read for a policy."""
    kafka = policy.spec.source.kafka
    return WantedGroup(
        group=kafka.group,
        topics=kafka.topics or (),
        topic_pattern=kafka.topic_pattern,
        offset_reset=kafka.offset_reset,
        isolation=kafka.isolation,
        describe=describe,
    )


class Considered(NamedTuple):
    """A policy as it was found in a cycle, and what was decided."""

    found: Workload | Objection
    ladder: Look | None
    observation: Observation
    decision: Decision
    now: float


async def consider(
    services: Services, charge: Charge, policy: LagPolicy, reading: Reading | ReadingError
) -> Considered:
    """Observe and decide; nothing is written. One that stands by keeps its memory warm with it."""
    charge.obey(policy.spec)
    charge.executing = services.proposals.executing(services, policy)
    found = await find_target(services, policy)
    ladder = await look(services, charge, policy)
    now = services.clock()
    observation = observe(services.world, charge, policy, reading, found, now, flags_of(ladder, now))
    decision, charge.memory = step(charge.memory, observation, policy.spec, now)
    return Considered(found, ladder, observation, decision, now)


async def tend(client: Client, charge: Charge, policy: LagPolicy, reading: Reading | ReadingError) -> None:
    """Observe, decide, act, and say so."""
    services = client.services
    found, ladder, observation, decision, now = await consider(services, charge, policy, reading)
    scaled = await act(services, charge, policy, decision, found)
    if ladder:
        ladder = await carry_out(services, charge, ladder, decision.rung)
    shown = await services.proposals.tend(client, policy, decision, reading)
    outcome = Outcome(
        policy,
        observation,
        decision,
        now,
        scaled,
        shown.name,
        shown.problem,
        describe(ladder, now) if ladder else None,
    )
    report(services, charge, outcome)
    charge.failed = None


def give_up(services: Services, charge: Charge, policy: LagPolicy, error: Exception) -> None:
    """A policy whose cycle broke (a fault of ours) says so, and stops no other; it is tried again in the next cycle."""
    said = f"Tidegate failed on this policy, nothing is scaled: {error!r}"
    if charge.failed != said:
        logger.exception("%s failed in this cycle, and is tried again in the next", name_of(policy))
    charge.failed = said
    generation = policy.metadata.generation
    failed = condition("Ready", False, Reason.INTERNAL_ERROR, said, generation, services.clock())
    conditions = set_condition(charge.status.conditions, failed)
    before, charge.status = charge.status, charge.status.model_copy(update={"conditions": conditions})
    services.statuses.offer(policy, charge.status, known=before, memory=charge.remembered)


async def find_target(services: Services, policy: LagPolicy) -> Workload | Objection:
    """The target: as the watch shows it where its kind is watched, else as /scale answers now."""
    namespace, ref = policy.metadata.namespace or "", policy.spec.target_ref
    if services.world.watches(ref):
        return services.world.workload(namespace, ref) or not_found(namespace, ref)
    return await read_workload(services.api, services.discovery, namespace, ref)


async def act(
    services: Services, charge: Charge, policy: LagPolicy, decision: Decision, found: Workload | Objection
) -> Scaled | Objection | None:
    """Write the replicas that were decided; None where there is nothing to write."""
    if decision.replicas is None or decision.dry_run or isinstance(found, Objection) or not services.may_act():
        return None
    namespace, ref, seen = policy.metadata.namespace or "", policy.spec.target_ref, newest(found, charge)
    scaled = await scale(services.api, services.discovery, namespace, ref, decision.replicas, seen=seen)
    now = services.clock()
    if isinstance(scaled, Objection):
        charge.refuse(scaled, now)
    elif scaled.written:
        charge.wrote(scaled.workload)
    else:
        charge.contention = charge.contention.saw(scaled.workload, now)
    return scaled


def report(services: Services, charge: Charge, outcome: Outcome) -> None:
    """Status, Events and a log line; none of them waits for the API server."""
    charge.tally.count(outcome)
    before, charge.status = charge.status, build_status(outcome, charge.status)
    services.statuses.offer(outcome.policy, charge.status, known=before, memory=charge.remembered)
    services.recorder.tell(*announce(outcome.policy, before, charge.status))
    log(charge, outcome)


def log(charge: Charge, outcome: Outcome) -> None:
    """One line when the decision changes: who, why, and the numbers."""
    last, scaled = charge.status.last_decision, outcome.scaled
    written = isinstance(scaled, Scaled) and scaled.written
    if last is None or (last.reason == charge.said and not written):
        return
    charge.said = Reason(last.reason)
    policy = str(name_of(outcome.policy))
    target, decision = outcome.observation.target, outcome.decision
    about = {
        "policy": policy,
        "reason": last.reason,
        "replicas": target.replicas if target else None,
        "desired": decision.desired,
        "lag": decision.backlog.lag,
        "written": written,
    }
    what = "scaled" if written else "decided"
    logger.info("%s %s, %s: %s", policy, what, last.reason, last.message, extra={"about": about})
