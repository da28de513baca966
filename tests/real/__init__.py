"""The gateway before real servers, which `./run.sh test --real` installs: none of it runs in the other tests."""
