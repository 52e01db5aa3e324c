"""What the metadata record says, a file a section."""
