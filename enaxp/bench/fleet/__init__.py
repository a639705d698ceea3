"""Benches of many pairs of hosts: what is said over pairs, and how they are carried out."""
