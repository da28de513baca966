"""Anthropic's Messages: bodies, answers, and what is remembered of a conversation."""
