"""Relay: injects a known difference between the arms of a bench on the local target, and records the actual difference.

Hold by port ─▶ placing.py: scripts that put program.py before the servers of a host ─▶ (a bench) ─▶ its record ─▶ Seen
"""
