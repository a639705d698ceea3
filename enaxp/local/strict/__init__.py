"""A strict AWS on loopback: moto behind rules, because moto alone accepts what AWS refuses.

    boto3 ─▶ HTTP ─▶ server.py (latency, faults, call log) ─▶ moto's dispatch ─▶ ec2/, iam.py … (rules, then moto) ─▶ world.py (time)

    server.py     the HTTP server and its driving paths        faults.py    failures on demand: before, after (a lost answer), later
    timing.py     how long everything takes                    machines.py  what instances become: the protocol
    world.py      what moto does not keep: instance lives, placement groups, tokens, ENA Express, when things became known
    rules/        what AWS refuses, one small function a rule, by action
    ec2/          the EC2 actions that moto lacks or answers differently
    iam.py ecr.py ssm.py service_quotas.py    likewise for the other services       quotas.py  limits of the account
    ssm_documents.py ssm_runs.py       documents, and what Systems Manager does on hosts
    capacity.py   which types zones offer, and how much room they have
    install.py    puts all of it in moto's place

    Where to find what AWS does with …
    ids that do not exist (yet), tags, tokens, pages       rules/everywhere.py     eventual consistency    world.py: is_unknown, is_blind_to
    deletes of what is in use, gateways, security groups   rules/network.py        states and waiting      world.py, timing.py
    interfaces, ENA Express, Elastic IPs                   rules/interfaces.py     idempotency, DryRun     ec2/__init__.py
    launches, placement groups, key pairs                  rules/instances.py      filters, listings       ec2/describe.py
    quotas                                                 rules/limits.py         roles and profiles      iam.py

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
