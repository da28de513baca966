"""The gateway as a process: its start, its port, its log, what is switched off in it, and its end."""
