"""What lives longer than a hook: the exchange, accounts, breakers, conversations, the store."""
