"""What several tests need: paths, pictures, servers, leak checks."""
