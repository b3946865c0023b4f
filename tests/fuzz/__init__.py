"""Random and mutated messages and byte streams against the room's door, and what must then hold."""
