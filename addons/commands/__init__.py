"""What `./run.sh NAME` runs: one file a command."""
