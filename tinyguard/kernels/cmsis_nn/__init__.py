"""Layers printed as calls into the user's own libcmsis-nn.a."""
