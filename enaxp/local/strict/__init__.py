"""A strict AWS on loopback: moto behind rules, because moto alone accepts what AWS refuses.

    boto3 ─▶ HTTP ─▶ gate.py (latency, faults, call log) ─▶ moto's dispatch ─▶ ec2/, ssm/, iam.py … (rules, then moto) ─▶ world.py (time)

    server.py     serve(), and the running server              faults.py    failures on demand: before, after (a lost answer), later
    calls.py      which service and action a request is for    driving.py   the paths by which another process sets all of this
    throttling.py how often each API may be called             timing.py     how long everything takes
                                                               machines.py  what instances become: the protocol
    world.py      what moto does not keep, and time            life.py      its records: instance lives, placement groups, ENA Express
    access/       whether the caller may make the call: IAM's judgement by the policies that are put on him
    resource_types.py  what is known of each type of EC2 resource: prefix, codes, what makes and names one
    rules/        what AWS refuses, one small function a rule, which names its actions
    ec2/ ssm/     the actions that moto lacks or answers differently
    iam.py ecr.py service_quotas.py    likewise for the other services
    quotas.py     limits of the account                        capacity.py  which types zones offer, and how much room they have
    install.py    puts all of it in moto's place

    Where to find what AWS does with …
    ids that do not exist (yet), tags, tokens, pages       rules/everywhere.py     eventual consistency    world.py: is_unknown, is_blind_to
    deletes of what is in use, gateways, security groups   rules/network.py        states and waiting      world.py, timing.py
    interfaces, ENA Express, Elastic IPs                   rules/interfaces.py     idempotency, DryRun     ec2/__init__.py
    launches                                               rules/launches.py       filters, listings       ec2/describe.py
    instances that others stop, start, protect             ec2/instances.py        endpoints of services   ec2/network.py
    placement groups, key pairs                            rules/instances.py      roles and profiles      iam.py
    quotas, room                                           rules/limits.py         documents, commands     ssm/

What it refuses follows from AWS's documentation and public reports: passing here is evidence about those rules, not about AWS.
"""

from enaxp.local.strict.calls import Call
from enaxp.local.strict.capacity import Capacity
from enaxp.local.strict.faults import Fault, FaultPlan
from enaxp.local.strict.machines import MachineInterface, Machines, MachineSpec, NoMachines, ScriptResult
from enaxp.local.strict.quotas import Quotas
from enaxp.local.strict.server import StrictServer, serve
from enaxp.local.strict.timing import Timing

__all__ = [
    "Call",
    "Capacity",
    "Fault",
    "FaultPlan",
    "MachineInterface",
    "MachineSpec",
    "Machines",
    "NoMachines",
    "Quotas",
    "ScriptResult",
    "StrictServer",
    "Timing",
    "serve",
]
