"""OpenAI's Chat Completions: requests in that form, answers out of it."""
