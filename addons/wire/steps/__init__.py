"""What is done to a body on its way to a provider: a step a file, named as the trail and `steps:` name them."""
