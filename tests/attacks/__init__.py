"""Inputs that once did harm to a running gateway, and their siblings: while one runs, everybody else is served."""
