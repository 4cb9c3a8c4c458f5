"""Arrays <-> files that people look at, read or hear: one file a modality."""
