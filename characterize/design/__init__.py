"""What a designer asks of cells, amplifiers and design points."""
