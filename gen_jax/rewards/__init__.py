"""What a sample is worth, told on the host: one file a reward, `make(options, spec) -> x_N -> [N]`, of samples as families make them."""

# Every reward has these options beside its own DEFAULTS.
DEFAULTS = dict(
    method='grpo',              # transforms.rewarded.METHODS
    group=8,                    # samples that are compared, of each example's beginning
    prompt=0,                   # tokens of each example that its samples go on from; 0: none
    kl=.1,                      # nats of divergence from the reference cost so much reward; of dpo: its beta
    kl_target=0.,               # nats of divergence that the cost is steered towards; 0: it stays
)
