"""How to run ngspice: decks in, numbers and outcomes out; and the project's own model cards."""
