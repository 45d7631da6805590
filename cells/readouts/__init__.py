"""What turns a line's voltage into a number."""
