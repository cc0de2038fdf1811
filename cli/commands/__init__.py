"""The commands of `farmgate`, one noun a file."""
