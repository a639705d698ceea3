"""Statistics: from numbers to intervals, chances and words. Pure; knows nothing of runs or hosts."""
