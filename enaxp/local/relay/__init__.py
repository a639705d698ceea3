"""Relay: a known difference between the arms of a bench on the local target, and a record of what it came to.

Hold by port ─▶ placing.py: scripts that put program.py before the servers of a host ─▶ (a bench) ─▶ its record ─▶ Seen
"""
