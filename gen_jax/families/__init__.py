"""Records of a game, one file a family: `make(config, spec) -> core.Family`."""
