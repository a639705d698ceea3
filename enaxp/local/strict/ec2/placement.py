"""Placement groups: moto has none. Their tags are kept where moto keeps those of everything else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses._base_response import EC2BaseResponse

from enaxp.local.strict.life import GroupInUse
from enaxp.local.strict.rules.request import RefusedByEc2
from enaxp.local.strict.world import current

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import PlacementGroupStateType, PlacementGroupStrategyType
    from mypy_boto3_ec2.type_defs import PlacementGroupTypeDef


class PlacementActions(EC2BaseResponse):
    """Create, describe and delete."""

    def create_placement_group(self) -> ActionResult:
        world, name = current(), self._get_param("GroupName")
        strategy: PlacementGroupStrategyType = self._get_param("Strategy") or "cluster"
        group = GroupInUse(name=name, strategy=strategy, region=self.region, created_at=time.monotonic())
        world.groups[self.region, name] = group
        world.born[group.id] = world.born[f"group/{name}"] = group.created_at
        tags = self._parse_tag_specification("placement-group").get("placement-group", {})
        self.ec2_backend.create_tags([group.id], tags)
        return ActionResult({"PlacementGroup": self._shown(group)})

    def describe_placement_groups(self) -> ActionResult:
        """Refuses unknown names; there is no filter by id."""
        world, names, ids = current(), self._get_param("GroupNames") or [], self._get_param("GroupIds") or []
        groups = [group for group in world.groups.values() if group.region == self.region]
        for name in names:
            if name not in [group.name for group in groups] or world.is_unknown(f"group/{name}"):
                raise RefusedByEc2("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        chosen = [group for group in groups if (not names or group.name in names) and (not ids or group.id in ids)]
        for asked in self._get_param("Filters") or []:
            chosen = [group for group in chosen if self._matches(group, asked["Name"], asked.get("Values", []))]
        return ActionResult({"PlacementGroups": [self._shown(group) for group in chosen]})

    def delete_placement_group(self) -> EmptyResult:
        current().groups[self.region, self._get_param("GroupName")].deleting_at = time.monotonic()
        return EmptyResult()

    def _matches(self, group: GroupInUse, name: str, values: list[str]) -> bool:
        tags = {tag["key"]: tag["value"] for tag in self.ec2_backend.describe_tags({"resource-id": [group.id]})}
        blind = current().is_blind_to(group.id)
        if name.startswith("tag:"):
            return not blind and tags.get(name[4:]) in values
        if name == "tag-key":
            return not blind and bool(tags.keys() & set(values))
        shown = self._shown(group)
        facts = {
            "group-name": shown["GroupName"],
            "group-arn": shown["GroupArn"],
            "strategy": shown["Strategy"],
            "state": shown["State"],
        }
        return facts.get(name) in values

    def _shown(self, group: GroupInUse) -> PlacementGroupTypeDef:
        tags = self.ec2_backend.describe_tags({"resource-id": [group.id]})
        return {
            "GroupName": group.name,
            "GroupId": group.id,
            "GroupArn": f"arn:aws:ec2:{group.region}:{self.current_account}:placement-group/{group.name}",
            "Strategy": group.strategy,
            "State": _state(group),
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in tags],
        }


def _state(group: GroupInUse) -> PlacementGroupStateType:
    if group.deleting_at is not None:
        return "deleting"
    return "available" if current().is_ready(group) else "pending"
