"""What differs between two bodies: texts, JSON values, event streams."""
