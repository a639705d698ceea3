"""Rules for every action: members, ids, tags, tokens, filters, pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from moto.core.utils import get_service_model

from enaxp.local.strict.resource_types import BY_PREFIX, TAGGED_BY, ids_named_in
from enaxp.local.strict.rules.request import RefusedByEc2, Request, not_found
from enaxp.local.strict.rules.rule import rule, rule_of_every_action, rule_of_form

# Lists of ids that go with no page size.
PAGED = ("InstanceIds", "NetworkInterfaceIds")
TOKEN_LENGTH = 64
TAGS_OF_A_RESOURCE = 50
# How AWS's own documentation, which is in botocore's models, lists the filters of an action, and says under which other names they go.
FILTER_NAME = re.compile(r"(?:<li>\s*<p>\s*|\buse |\bor )<code>([^<]+)</code>")


@rule_of_every_action
def named_resources_exist(request: Request) -> None:
    """Eventual consistency is in here, too: a call that names an id made moments ago may not find it."""
    for member, named in ids_named_in(request.action).items():
        value = request.get(member)
        for id in value if isinstance(value, list) else [value]:
            if not isinstance(id, str):
                continue
            if not re.fullmatch(rf"{named.prefix}-[0-9a-f]{{8,17}}", id):
                raise RefusedByEc2(named.malformed, f'Invalid id: "{id}"')
            if not request.is_known(id):
                raise not_found(named.prefix, id)


@rule_of_form
def required_members_are_there(request: Request) -> None:
    for member in get_service_model("ec2").operation_model(request.action).input_shape.required_members:
        if request.get(member) in (None, "", []):
            name = member[0].lower() + member[1:]
            raise RefusedByEc2("MissingParameter", f"The request must contain the parameter {name}")


@rule_of_form
def tag_specifications_fit(request: Request) -> None:
    allowed = TAGGED_BY.get(request.action)
    for specification in request.get("TagSpecifications") or []:
        resource = specification.get("ResourceType")
        if allowed is not None and resource not in allowed:
            message = f"'{resource}' is not a valid taggable resource type for this operation."
            raise RefusedByEc2("InvalidParameterValue", message)
        _check_tags(specification.get("Tags") or [])


@rule("CreateTags")
def given_tags_are_valid(request: Request) -> None:
    _check_tags(request.get("Tags") or [])


@rule("CreateTags", "DeleteTags")
def tagged_resources_exist(request: Request) -> None:
    """CreateTags and DeleteTags take ids of all sorts."""
    for id in request.get("Resources") or []:
        prefix = id.partition("-")[0]
        if prefix in BY_PREFIX and not request.is_known(id):
            raise not_found(prefix, id)


def _check_tags(tags: Sequence[dict[str, str]]) -> None:
    keys = [tag.get("Key", "") for tag in tags]
    if len(set(keys)) != len(keys):
        raise RefusedByEc2("InvalidParameterValue", "Duplicate tag key specified.")
    if len(keys) > TAGS_OF_A_RESOURCE:
        raise RefusedByEc2("TagLimitExceeded", "You have exceeded the maximum number of tags for this resource.")
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise RefusedByEc2("InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved: {key}")
        if not 0 < len(key) <= 127 or len(value) > 256:
            raise RefusedByEc2("InvalidParameterValue", f"Tag {key[:40]!r} is too long")


@rule_of_form
def token_is_short_enough(request: Request) -> None:
    token = request.get("ClientToken")
    if token and (len(token) > TOKEN_LENGTH or not token.isascii()):
        raise RefusedByEc2("InvalidParameterValue", f"Client token must be at most {TOKEN_LENGTH} ASCII characters")


@rule_of_every_action
def filters_are_there(request: Request) -> None:
    for asked in request.get("Filters") or []:
        name = str(asked.get("Name"))
        known = _filters_of(request.action)
        if known and name not in known and not (name.startswith("tag:") and "tag:" in known):
            raise RefusedByEc2("InvalidParameterValue", f"The filter '{name}' is invalid")


@cache
def _filters_of(action: str) -> frozenset[str]:
    """Names of an action's filters; `tag:` is for the tags of any key. Empty where the documentation has no list."""
    members = get_service_model("ec2").operation_model(action).input_shape.members
    names = FILTER_NAME.findall(members["Filters"].documentation)
    return frozenset("tag:" if name in {"tag", "tag:&lt;key&gt;"} else name for name in names)


@rule_of_every_action
def page_is_asked_for_rightly(request: Request) -> None:
    """A page size goes with filters, never with a list of ids."""
    if request.get("MaxResults") and any(request.get(member) for member in PAGED):
        message = "The parameter idSet cannot be used with the parameter maxResults"
        raise RefusedByEc2("InvalidParameterCombination", message)


def only_one_of(request: Request, members: Iterable[str]) -> None:
    """Modify calls change one attribute at a time."""
    if sum(request.get(member) is not None for member in members) > 1:
        raise RefusedByEc2("InvalidParameterCombination", "Fields for multiple attribute types specified")
