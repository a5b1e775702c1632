"""What people say of generated rows, and how these differ from their sources."""
