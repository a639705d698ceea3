"""Listings: filters that moto lacks, pages, states that take time, and resources that are not known yet.

As in the modules beside it, the class is a mixin: its `super()` is moto's class of all EC2 actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from moto.core.responses import ActionResult
from moto.ec2.responses._base_response import EC2BaseResponse

from enaxp.local.strict.resource_types import TYPES
from enaxp.local.strict.world import World, current

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import StatusTypeType, SummaryStatusType
    from mypy_boto3_ec2.type_defs import AvailabilityZoneTypeDef, InstanceStatusSummaryTypeDef, InstanceStatusTypeDef

PAGE = 1000
# Valid on AWS, unknown to moto: (action, filter) → how to read it off one item. Values are compared as text.
OWN_FILTERS: dict[tuple[str, str], Callable[[Any, World], Iterable[Any]]] = {
    ("DescribeInstances", "client-token"): lambda instance, _: [instance.client_token],
    ("DescribeInstances", "placement-group-name"): lambda instance, _: [instance._placement.group_name],
    ("DescribeInstances", "network-interface.subnet-id"): lambda instance, _: [
        eni.subnet.id for eni in instance.network_interfaces
    ],
    ("DescribeInstances", "network-interface.network-interface-id"): lambda instance, _: [
        eni.id for eni in instance.network_interfaces
    ],
    ("DescribeNetworkInterfaces", "attachment.status"): lambda eni, world: (
        [world.attachment_status(eni)] if eni.instance else []
    ),
    ("DescribeNetworkInterfaces", "attachment.device-index"): lambda eni, _: [eni.device_index] if eni.instance else [],
    ("DescribeNetworkInterfaces", "attachment.delete-on-termination"): lambda eni, _: (
        [str(bool(eni.delete_on_termination)).lower()] if eni.instance else []
    ),
    ("DescribeNetworkInterfaces", "association.allocation-id"): lambda eni, _: [eni.association.get("allocationId")],
}


class Describes(EC2BaseResponse):
    """Describe actions."""

    def _filters_from_querystring(self) -> dict[str, list[str]]:
        """moto's filters, without those that only we know."""
        action = self._get_action()
        given: dict[str, list[str]] = super()._filters_from_querystring()
        self._own_filters = {name: values for name, values in given.items() if (action, name) in OWN_FILTERS}
        self._by_tag = any(name.startswith("tag") for name in given)
        return {name: values for name, values in given.items() if name not in self._own_filters}

    def _passes(self, item: Any) -> bool:
        """Whether one item is to be shown: our own filters, and what listings by tag do not know yet."""
        world, action = current(), self._get_action()
        if self._by_tag and world.is_blind_to(item.id):
            return False
        return all(
            {str(value) for value in OWN_FILTERS[action, name](item, world)} & set(values)
            for name, values in self._own_filters.items()
        )

    def _page(self, result: Any, member: str) -> ActionResult:
        """The answer with the items that match the filters, cut to the requested page."""
        items = [item for item in result.result[member] if self._passes(item)]
        size, start = int(self._get_param("MaxResults") or PAGE), int(self._get_param("NextToken") or 0)
        rest = {"NextToken": str(start + size)} if start + size < len(items) else {}
        return ActionResult({member: items[start : start + size], **rest})

    def describe_vpcs(self) -> ActionResult:
        return self._with_states(self._page(super().describe_vpcs(), "Vpcs"), "Vpcs", "state")

    def describe_subnets(self) -> ActionResult:
        return self._with_states(self._page(super().describe_subnets(), "Subnets"), "Subnets", "state")

    def describe_internet_gateways(self) -> ActionResult:
        return self._page(super().describe_internet_gateways(), "InternetGateways")

    def describe_route_tables(self) -> ActionResult:
        return self._page(super().describe_route_tables(), "RouteTables")

    def describe_security_groups(self) -> ActionResult:
        return self._page(super().describe_security_groups(), "SecurityGroups")

    def describe_network_interfaces(self) -> ActionResult:
        result = self._page(super().describe_network_interfaces(), "NetworkInterfaces")
        free = [eni for eni in result.result["NetworkInterfaces"] if eni.instance is None]
        self._with_states(ActionResult({"free": free}), "free", "status")
        return result

    @staticmethod
    def _with_states(result: ActionResult, member: str, attribute: str) -> ActionResult:
        """The answer, with the state `pending` for what was created moments ago."""
        for item in result.result[member]:
            setattr(item, attribute, "pending" if current().is_pending(item.id) else "available")
        return result

    def describe_addresses(self) -> ActionResult:
        """InstanceId follows the interface, also when the address was associated before the launch."""
        for address in self.ec2_backend.addresses:
            address.instance = address.eni.instance if address.eni is not None else None
        return self._page(super().describe_addresses(), "Addresses")

    def describe_key_pairs(self) -> ActionResult:
        return self._page(super().describe_key_pairs(), "KeyPairs")

    def describe_instances(self) -> ActionResult:
        result = super().describe_instances()
        for reservation in result.result["Reservations"]:
            reservation.instances = [one for one in reservation.instances if self._passes(one)]
        result.result["Reservations"] = [one for one in result.result["Reservations"] if one.instances]
        return result

    def describe_instance_status(self) -> ActionResult:
        """Two checks, which begin when the instance runs."""
        result, world = super().describe_instance_status(), current()
        alive = [one for one in result.result["InstanceStatuses"] if one._state.name != "terminated"]
        return ActionResult({"InstanceStatuses": [_status(one, world.checks_of(one)) for one in alive]})

    def describe_volumes(self) -> ActionResult:
        return self._page(super().describe_volumes(), "Volumes")

    def describe_instance_type_offerings(self) -> ActionResult:
        """Without what zones are said to lack."""
        result, offers = super().describe_instance_type_offerings(), current().capacity.offers
        offerings = result.result["InstanceTypeOfferings"]
        there = [one for one in offerings if offers(one["Location"], one["InstanceType"])]
        return ActionResult({"InstanceTypeOfferings": there})

    def describe_images(self) -> ActionResult:
        """Every image of these days has the ENA driver."""
        result = super().describe_images()
        for image in result.result["Images"]:
            image.ena_support = True
        return result

    def describe_tags(self) -> ActionResult:
        """moto keeps the tags of what is gone."""
        world, result = current(), super().describe_tags()
        there = {one.prefix: set(one.ids(self.ec2_backend, world)) for one in TYPES}
        result.result["Tags"] = [
            tag
            for tag in result.result["Tags"]
            if not world.is_blind_to(tag["resource_id"])
            and tag["resource_id"] in there.get(tag["resource_id"].partition("-")[0], {tag["resource_id"]})
        ]
        return result

    def describe_vpc_block_public_access_options(self) -> ActionResult:
        """moto has none."""
        options = {
            "AwsAccountId": self.current_account,
            "AwsRegion": self.region,
            "State": "update-complete",
            "InternetGatewayBlockMode": current().block_public_access,
            "ExclusionsAllowed": "allowed",
        }
        return ActionResult({"VpcBlockPublicAccessOptions": options})

    def describe_availability_zones(self) -> ActionResult:
        """As moto has them, with what tells a Local Zone; AllAvailabilityZones lists one, too."""
        result = super().describe_availability_zones()
        zones = [_zone(zone) for zone in result.result["AvailabilityZones"]]
        if self._get_param("AllAvailabilityZones"):
            zones.append(_local_zone(self.region))
        return ActionResult({"AvailabilityZones": zones})


def _status(instance: Any, checks: SummaryStatusType) -> InstanceStatusTypeDef:
    """Both checks of an instance, which have the same status here."""
    status = cast("StatusTypeType", "passed" if checks == "ok" else checks)
    summary: InstanceStatusSummaryTypeDef = {
        "Status": checks,
        "Details": [{"Name": "reachability", "Status": status}],
    }
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance._placement.zone,
        "InstanceState": {"Code": instance._state.code, "Name": instance._state.name},
        "InstanceStatus": summary,
        "SystemStatus": summary,
    }


def _zone(zone: Any) -> AvailabilityZoneTypeDef:
    return {
        "ZoneName": zone.name,
        "ZoneId": zone.zone_id,
        "RegionName": zone.region_name,
        "State": zone.state,
        "ZoneType": zone.zone_type,
        "OptInStatus": "opt-in-not-required",
        "Messages": [],
    }


def _local_zone(region: str) -> AvailabilityZoneTypeDef:
    """One that every region has here, and that nobody has opted into."""
    return {
        "ZoneName": f"{region}-bos-1a",
        "ZoneId": "local-az1",
        "RegionName": region,
        "State": "available",
        "ZoneType": "local-zone",
        "OptInStatus": "not-opted-in",
    }
