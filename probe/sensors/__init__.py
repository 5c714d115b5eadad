"""What is seen: each module turns a piece of the outside into evidence."""
