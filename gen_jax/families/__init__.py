"""Records of a game, one file a family: `make(config, spec) -> core.Family`. OF_CODES: in a codec's space it learns the codes, not the latents."""
