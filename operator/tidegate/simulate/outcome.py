"""The figures by which controllers are compared."""

from dataclasses import asdict, dataclass

from tidegate.simulate.ages import age_quantile, late_records, oldest
from tidegate.simulate.world import Run

HOUR = 3600.0


@dataclass(frozen=True)
class Outcome:
    """One controller on one trace. `late_share` is the share of records older than the promise when processed.

    `transitions` are the steps of its degradation ladder, up and down; None where it had none.
    """

    controller: str
    replica_hours: float
    optimum_replica_hours: float | None
    late_share: float
    p99_age_seconds: float
    max_age_seconds: float
    scale_events: int
    rebalances: int
    transitions: int | None = None

    @property
    def ratio(self) -> float | None:
        """Cost as a multiple of the optimum's."""
        return self.replica_hours / self.optimum_replica_hours if self.optimum_replica_hours else None

    def keys(self) -> dict[str, float | int | str | None]:
        """The figures by name, as the command line and the benchmark print them."""
        return asdict(self)


def outcome(run: Run, optimum_replica_hours: float | None = None) -> Outcome:
    """Measure a run."""
    total = float(run.ages.records.sum())
    return Outcome(
        controller=run.controller,
        replica_hours=run.pod_seconds / HOUR,
        optimum_replica_hours=optimum_replica_hours,
        late_share=late_records(run.ages, run.regime.max_age) / total if total else 0.0,
        p99_age_seconds=age_quantile(run.ages, 0.99),
        max_age_seconds=oldest(run.ages),
        scale_events=len(run.orders),
        rebalances=run.rebalances,
        transitions=len(run.features.steps) if run.features else None,
    )
