"""Functions from family to family. Order, inner to outer: accumulated, seeds, devices; one that can't go outside another raises InputError."""
