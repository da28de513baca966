"""What `./run.sh doctor` looks at."""
