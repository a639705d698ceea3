"""First contact: a host's SSH key is compared with the one that AWS reports (in the console output), before anything is sent to its
address.

GetConsoleOutput ─▶ keys ─▶ equal to keys stored earlier? ─▶ known_hosts of the instance ─▶ verified
                └─▶ none: unverified, which is reported
"""

from __future__ import annotations

import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of
from enaxp.errors import HostKeyError
from enaxp.hosts.hostkeys import keys_on_console, learned_keys, told_keys, write_told


def verify(aws: Aws, instance_id: str, *, known_hosts: Path, patience_s: float = 0.0) -> str:
    """Verifies a host's keys against those that AWS reports, once per instance. Returns why they are unverified; empty when verified.

    patience_s: how long to wait until the console output shows them, in seconds. Raises HostKeyError if a different key was stored
    earlier.
    """
    if told_keys(known_hosts):
        return ""
    deadline = time.monotonic() + patience_s
    for pause_s in aws.pauses():
        try:
            answer = aws.ec2.get_console_output(InstanceId=instance_id, Latest=True)
        except (ClientError, BotoCoreError) as error:
            return f"AWS does not tell what the console of {instance_id} shows ({code_of(error) or error})"
        keys = keys_on_console(answer.get("Output", ""))
        if keys:
            break
        if time.monotonic() >= deadline:
            return f"the console of {instance_id} shows no host keys"
        time.sleep(pause_s)
    learned = learned_keys(known_hosts)
    if learned and not learned & set(keys):
        raise HostKeyError(
            f"whoever was spoken to as {instance_id} is not that host",
            said="the key learned at the first contact is none of those that AWS reports",
            todo="assume that others know everything that was sent there, and replace the host (`enaxp down compute`, `enaxp up`)",
        )
    write_told(known_hosts, keys)
    return ""
