"""What runs inside of a machine: its first process, its file system, and the stand-ins for programs of a real host."""
