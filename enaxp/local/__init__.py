"""The local target: a strict AWS on loopback, and hosts on this machine. Nothing outside this folder knows of it but the CLI."""
