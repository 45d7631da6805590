"""What cells are made of: transistors, resistors, capacitors."""
