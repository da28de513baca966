"""The tests: `test_<name>.py` for addons, `wire/` for the sans-IO parts, `e2e/` for a real mitmdump."""
