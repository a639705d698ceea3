"""Measuring: carries out a schedule on two hosts, trial by trial. The only part of `bench` that acts on hosts."""
