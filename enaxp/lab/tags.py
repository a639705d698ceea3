"""Tags: what of a resource's tags is not as wanted, and putting tags on resources that are there: a few calls do for every kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from enaxp.aws import Aws, refused
from enaxp.lab.model import TAG_EXPIRES, Change, Found, Lab, Resource, as_tag_list, change

AT_ONCE = 500  # resources in one call
IAM_KINDS = ("role", "instance-profile")
SSM_KINDS = {"ssm-document": "Document", "ssm-association": "Association"}  # and what SSM calls them


def tag_changes(resource: Resource, found: Found, lab: Lab) -> Iterator[Change]:
    """A change for each tag that is missing or another. The lab's end may be set anew elsewhere (`extend`): that tag must only be there."""
    for tag, want in lab.tags_for(resource).items():
        have = found.tags.get(tag)
        if have != want and not (tag == TAG_EXPIRES and have):
            put = partial(put_tags, resources=[found], tags={tag: want})
            yield change(f"tag {tag}", have=have, want=want, act=put)


def put_tags(aws: Aws, resources: Iterable[Found], tags: Mapping[str, str]) -> None:
    """Sets these tags on every resource; its other tags stay. Doing it again is harmless. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError

    resources, listed = tuple(resources), as_tag_list(tags)
    of_ec2 = (found for found in resources if found.kind not in (*IAM_KINDS, *SSM_KINDS, "ecr-repository"))
    ec2_ids = [str(found.facts.get("tag_id", found.id)) for found in of_ec2]
    try:
        for found in resources:
            if found.kind == "role":
                aws.iam.tag_role(RoleName=found.id, Tags=listed)
            elif found.kind == "instance-profile":
                aws.iam.tag_instance_profile(InstanceProfileName=found.id, Tags=listed)
            elif found.kind in SSM_KINDS:
                aws.ssm.add_tags_to_resource(ResourceType=SSM_KINDS[found.kind], ResourceId=found.id, Tags=listed)
            elif found.kind == "ecr-repository":
                aws.ecr.tag_resource(resourceArn=found.facts["arn"], tags=listed)
        for start in range(0, len(ec2_ids), AT_ONCE):
            aws.ec2.create_tags(Resources=ec2_ids[start : start + AT_ONCE], Tags=listed)
    except (ClientError, BotoCoreError) as error:
        raise refused(f"tagging {len(resources)} resources with {', '.join(tags)}", error) from error
