"""What is true: pure; time comes in as an argument."""
