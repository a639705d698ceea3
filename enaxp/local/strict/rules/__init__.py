"""What AWS refuses and moto accepts. One small function a rule; `RULES` says which rules an action meets, in order.

    everywhere.py   members, ids, tags, tokens, filters, pages: every action
    network.py      VPC, subnet, gateway, routes, security groups
    interfaces.py   interfaces, ENA Express, Elastic IPs
    instances.py    launching, placement groups, keys
    limits.py       quotas

A rule reads the request and the world, and raises `Refused` with AWS's own code. It changes nothing: with DryRun the rules are all
that runs. Codes that no public source confirms are marked (?): they are sensible guesses, and enaxp must not depend on them.
"""

from enaxp.local.strict.rules import everywhere, instances, interfaces, limits, network
from enaxp.local.strict.rules.request import RefusedByEc2, Request, Rule

# Form: these hold for a repeated request, too, whose token has been seen before.
FORM: tuple[Rule, ...] = (
    everywhere.required_members_are_there,
    everywhere.tag_specifications_fit,
    everywhere.token_is_short_enough,
)
ALWAYS: tuple[Rule, ...] = (
    everywhere.named_resources_exist,
    everywhere.filters_are_there,
    everywhere.page_is_asked_for_rightly,
)
AUTHORIZE = (network.permissions_are_complete, network.permissions_are_new, limits.rules_are_left)
RULES: dict[str, tuple[Rule, ...]] = {
    "CreateTags": (everywhere.given_tags_are_valid, everywhere.tagged_resources_exist),
    "DeleteTags": (everywhere.tagged_resources_exist,),
    "CreateVpc": (network.vpc_cidr_is_between_16_and_28, limits.vpcs_are_left),
    "ModifyVpcAttribute": (network.one_vpc_attribute_a_call,),
    "DeleteVpc": (network.vpc_is_empty,),
    "CreateSubnet": (network.subnet_cidr_is_between_16_and_28,),
    "DeleteSubnet": (network.subnet_is_empty,),
    "CreateInternetGateway": (limits.internet_gateways_are_left,),
    "AttachInternetGateway": (network.one_gateway_a_vpc,),
    "DetachInternetGateway": (network.no_address_is_mapped,),
    "DeleteInternetGateway": (network.gateway_is_detached,),
    "CreateRoute": (network.gateway_belongs_to_the_network,),
    "ReplaceRoute": (network.gateway_belongs_to_the_network,),
    "AssociateRouteTable": (network.subnet_has_no_other_route_table,),
    "CreateSecurityGroup": (network.group_texts_are_allowed, network.group_name_is_free),
    "AuthorizeSecurityGroupIngress": AUTHORIZE,
    "AuthorizeSecurityGroupEgress": AUTHORIZE,
    "DeleteSecurityGroup": (network.group_is_unused,),
    "CreateNetworkInterface": (
        interfaces.eni_address_is_usable_and_free,
        interfaces.eni_groups_exist,
        limits.interfaces_are_left,
    ),
    "ModifyNetworkInterfaceAttribute": (
        interfaces.one_eni_attribute_a_call,
        interfaces.eni_groups_exist,
        interfaces.ena_express_is_possible,
    ),
    "AttachNetworkInterface": (interfaces.eni_can_be_attached,),
    "DetachNetworkInterface": (interfaces.first_interface_stays,),
    "DeleteNetworkInterface": (interfaces.eni_is_free,),
    "AllocateAddress": (limits.addresses_are_left,),
    "AssociateAddress": (interfaces.address_can_be_associated,),
    "ReleaseAddress": (interfaces.address_is_free,),
    "ImportKeyPair": (instances.key_is_importable,),
    "CreatePlacementGroup": (instances.placement_group_name_is_free, limits.placement_groups_are_left),
    "DeletePlacementGroup": (instances.placement_group_is_unused,),
    "RunInstances": (
        instances.counts_are_sensible,
        instances.nothing_is_said_twice,
        instances.device_indexes_are_right,
        instances.existing_interfaces_stay_as_they_are,
        instances.user_data_fits,
        instances.type_exists_in_the_zone,
        instances.image_exists_and_fits,
        instances.key_exists,
        instances.interfaces_are_free_and_together,
        instances.ena_express_is_possible_at_launch,
        instances.group_takes_the_instance,
        instances.profile_is_known,
        limits.vcpus_are_left,
        instances.zone_has_room,
    ),
    "StartInstances": (instances.instances_are_alive,),
    "StopInstances": (instances.instances_are_alive,),
    "ModifyInstanceAttribute": (instances.one_instance_attribute_a_call,),
    "TerminateInstances": (instances.termination_is_allowed,),
}


def check_form(request: Request) -> None:
    """Raises RefusedByEc2 when the request could never be right, whatever there is."""
    for rule in FORM:
        rule(request)


def check(request: Request) -> None:
    """Meets every rule of the action. Raises RefusedByEc2 at the first that says no."""
    for rule in (*ALWAYS, *RULES.get(request.action, ())):
        rule(request)


__all__ = ["RefusedByEc2", "Request", "Rule", "check", "check_form"]
