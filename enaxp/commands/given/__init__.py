"""Given: the implementation of `enaxp bench` between existing hosts, and of `enaxp restore`.

asked.py       which hosts, and how they are to be treated
beforehand.py  what AWS and the hosts say ─▶ refused, or told to somebody who says yes       (reach.py: how the hosts are reached)
measuring.py   settings found, saved ─▶ toggled bench of one pair ─▶ settings put back
benches.py     one pair, or several, one after the other ─▶ what was found, printed
restoring.py   `enaxp restore`: settings that a bench was killed before it could put back
"""
