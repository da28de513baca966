"""Auto mode's verdicts on tool calls, where the provider that answers gives none."""
