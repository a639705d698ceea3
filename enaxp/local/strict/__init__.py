"""A strict AWS on loopback: moto behind rules, because moto alone accepts what AWS refuses.

    boto3 ─▶ HTTP ─▶ server.py (faults, latency, call log) ─▶ moto's dispatch ─▶ ec2.py / iam.py (rules, then moto) ─▶ world.py (time)

    world.py      what moto does not keep: instance lives, placement groups, tokens, ENA Express, when things became visible
    rules.py      what AWS refuses, one small function a rule, by action
    ec2.py        the actions that moto lacks or answers differently
    iam.py        likewise for roles and instance profiles
    faults.py     failures on demand: before the call, or after it was performed (a lost answer)
    server.py     the HTTP server

What it refuses follows from AWS's documentation and public reports: passing here is evidence about those rules, not about AWS.
"""

from enaxp.local.strict.faults import Fault, FaultPlan
from enaxp.local.strict.machines import MachineInterface, Machines, MachineSpec, NoMachines
from enaxp.local.strict.server import StrictServer, serve
from enaxp.local.strict.timing import Timing

__all__ = [
    "Fault",
    "FaultPlan",
    "MachineInterface",
    "MachineSpec",
    "Machines",
    "NoMachines",
    "StrictServer",
    "Timing",
    "serve",
]
