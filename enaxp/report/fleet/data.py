"""Data: the content of a fleet's report, computed from its folder alone.

FleetFolder ─▶ read_fleet ─▶ FleetData (manifest, pairs, fleet) ─▶ summary.py, page.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enaxp.bench.fleet.folder import FleetFolder, FleetManifest, pair_runs
from enaxp.bench.fleet.judging import PairRun, first_manifest, judge_fleet
from enaxp.bench.fleet.result import Fleet
from enaxp.bench.run_folder.environment import FactDifference, differences_from_all
from enaxp.bench.run_folder.records import Manifest
from enaxp.traffic import Metric, Scenario


@dataclass(frozen=True, kw_only=True)
class StandingOut:
    """A pair that is an outlier in its variant, with the facts that no other pair of its variant shares, if any."""

    pair: str
    variant: str
    differs: tuple[FactDifference, ...]


@dataclass(frozen=True, kw_only=True)
class FleetData:
    """The report's data on a fleet's bench."""

    manifest: FleetManifest
    pairs: Sequence[PairRun]
    fleet: Fleet

    @property
    def first(self) -> Manifest | None:
        """The manifest of the first pair that has one; it has what all pairs share."""
        return first_manifest(self.pairs)

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        return self.first.plan.scenarios if self.first else ()

    @property
    def primaries(self) -> list[tuple[Scenario, Metric]]:
        """Each primary figure of each scenario."""
        return [(scenario, metric) for scenario in self.scenarios for metric in scenario.primaries]

    @property
    def not_ena(self) -> str:
        return self.first.not_ena if self.first else ""

    def standing_out(self) -> Iterator[StandingOut]:
        """Each pair that is an outlier in a primary metric, with the facts that none of the others of its variant has."""
        for name, variant in self.fleet.variants.items():
            effects = [effect for one in variant.scenarios.values() for effect in one.primaries.values()]
            named = [pair for effect in effects if effect.grounds.over for pair in effect.grounds.over.standing_out]
            for pair in dict.fromkeys(named):
                yield StandingOut(pair=pair, variant=name, differs=self._differs(pair, name))

    def _differs(self, name: str, variant: str) -> tuple[FactDifference, ...]:
        own = next(pair.run.manifest for pair in self.pairs if pair.name == name and pair.run is not None)
        others = [
            pair.run.manifest
            for pair in self.pairs
            if pair.variant == variant and pair.name != name and pair.run and pair.counts
        ]
        return differences_from_all(own, others)


def read_fleet(folder: FleetFolder) -> FleetData:
    """The fleet recomputed from its pairs' trials. Raises BenchError when its manifest cannot be read."""
    manifest, pairs = folder.read_manifest(), pair_runs(folder)
    return FleetData(manifest=manifest, pairs=pairs, fleet=judge_fleet(pairs, run_id=manifest.run_id, lab=manifest.lab))
