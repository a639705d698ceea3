"""The local target: a strict AWS on loopback, and hosts on this machine. No module outside this package depends on it except session and
commands."""
