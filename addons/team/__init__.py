"""What a gateway for several people knows of them: keys, limits, what they have spent."""
