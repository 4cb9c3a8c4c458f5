"""The rows of the three-minute table: `--config=experiments/fashion_mnist/config.py:ROW` (half_hour_ROW, hour_ROW: ten, twenty times its steps;
README.md: protocol).

STEPS is what took 180 s on the machine that the README names, as `python -m experiments.fashion_mnist.run --calibrate` measured it. A run is a number
of steps and so replays to the bit; on another machine it takes another time. Learning rates of games and autoencoders are the published
ones; README.md says what was chosen by numbers.
"""
from gen_jax import core
from gen_jax.config import base

PLAYER = dict(learning_rate=2e-4, b1=.5)
CRITIC = dict(PLAYER, b1=0., b2=.9)

# What is not a network's default: one that makes steps enough in the budget, and self-attention.
NETWORKS = {'dit': dict(layers=4, width=96), 'resnet': dict(attention=True)}

# What a game is whatever its network: (options of the family, of the discriminator, of the generator).
GAMES = {
    'minimax': (dict(loss='minimax'), PLAYER, PLAYER),
    'nonsaturating': (dict(loss='nonsaturating'), PLAYER, PLAYER),
    'own_start': (dict(loss='nonsaturating', start=0.), PLAYER, PLAYER),   # not DCGAN's
    'least_squares': (dict(loss='least_squares'), PLAYER, PLAYER),
    'wgan': (dict(loss='wasserstein', clip_weights=.01), dict(CRITIC, learning_rate=5e-5, turns=5), dict(CRITIC, learning_rate=5e-5)),
    'wgan_gp': (dict(loss='wasserstein', penalty='gradient_penalty', penalty_weight=10.), dict(CRITIC, turns=5), CRITIC),
    'hinge_sn': (dict(loss='hinge', spectral=True), dict(CRITIC, turns=1), CRITIC),
    # A ResNet with self-attention (Zhang et al. 2019, https://arxiv.org/abs/1805.08318); theirs has spectral normalisation in the generator, too.
    'sagan': (dict(loss='hinge', spectral=True), dict(CRITIC, learning_rate=4e-4), dict(CRITIC, learning_rate=1e-4)),
    'r1r2': (dict(loss='relativistic', penalty='r1r2', penalty_weight=.5), CRITIC, CRITIC),
    'acgan': (dict(loss='hinge', spectral=True, condition='classifier'), CRITIC, CRITIC),
    'projection': (dict(loss='nonsaturating', penalty='r1', condition='projection'), PLAYER, PLAYER),
    'diffaugment': (dict(loss='nonsaturating', augment='translation,cutout'), PLAYER, PLAYER),
}
CODERS = {
    'vae': dict(),
    'beta_vae': dict(beta=4., beta_warmup=2000),
    'conditional_vae': dict(condition=True),
    'autoencoder_mixture': dict(posterior='deterministic', mixture=10),
}
# (options of the family, of sampling). Guided, a sample takes 20 evaluations of the network, 18 by midpoint.
FLOW = dict(schedule='logit_normal', objective='flow', condition=True), dict(sampler='midpoint', steps=5, guidance=2.5, guidance_to=.8)
DIFFUSIONS = {
    'diffusion': (dict(schedule='cosine', objective='data', weight='min_snr', condition=True), dict(sampler='dpm2m', steps=10, guidance=2.)),
    'flow': FLOW,
    'consistency': (dict(schedule='edm', objective='edm', weight='edm', consistency=7, condition=True), dict(sampler='consistency', steps=2)),
}
# A codec, ROW_codec, has half of the budget, what is learnt of its latents or codes the rest: (the codec's network, options and learning rate), (what
# is learnt: family, its options, those of its network, learning rate, of sampling). The training set is encoded once, ahead. All 49 tokens together,
# with their cache, are one evaluation of the transformer.
LATENT_FLOW = dict(FLOW[0], deviation=1.)
OF_CODEC = {
    'latent_dit': (('codec', dict(quantizer='kl', latent=4, kl_weight=.1), 1e-3),
                   ('diffusion', LATENT_FLOW, dict(NETWORKS['dit'], patch=1), 1e-3, FLOW[1])),
    'latent_mlp': (('mlp', dict(quantizer='kl', latent=96, kl_weight=.1), 2e-3),
                   ('diffusion', LATENT_FLOW, dict(layers=4, width=384), 2e-3, FLOW[1])),
    'codes_transformer': (('codec', dict(quantizer='vq'), 1e-3),
                          ('autoregressive', dict(), dict(layers=3, width=96, heads=3), 1e-3, dict())),
}

STEPS = {
    'minimax_mlp': 21120, 'minimax_conv': 2400, 'nonsaturating_mlp': 19560, 'nonsaturating_conv': 2460, 'least_squares_mlp': 20820,
    'least_squares_conv': 2520, 'wgan_mlp': 7140, 'wgan_conv': 1020, 'wgan_gp_mlp': 3960, 'wgan_gp_conv': 720, 'hinge_sn_mlp': 19860,
    'hinge_sn_conv': 3000, 'r1r2_mlp': 12660, 'r1r2_conv': 1980, 'acgan_conv': 2820, 'projection_conv': 2220, 'diffaugment_conv': 2580,
    'own_start_conv': 2460,   # its network and game are nonsaturating_conv's
    'vae_conv': 4740, 'beta_vae_conv': 4620, 'conditional_vae_conv': 4260, 'autoencoder_mixture_conv': 4500,
    'r1r2_r3gan': 480, 'diffusion_unet': 1260, 'diffusion_dit': 1080, 'flow_dit': 1020, 'consistency_unet': 1140,
    'latent_dit': 420, 'latent_mlp': 6240, 'codes_transformer': 720,
    'latent_dit_codec': 900, 'latent_mlp_codec': 9000, 'codes_transformer_codec': 900,
}
ROWS = [*(f'{game}_{network}' for game in ('minimax', 'nonsaturating', 'least_squares', 'wgan', 'wgan_gp', 'hinge_sn', 'r1r2')
          for network in ('mlp', 'conv')), 'own_start_conv', 'sagan_resnet', 'acgan_conv', 'projection_conv', 'diffaugment_conv',
        *(f'{coder}_conv' for coder in CODERS),
        'r1r2_r3gan', 'diffusion_unet', 'diffusion_dit', 'flow_dit', 'consistency_unet', *OF_CODEC]
LONGER = {'half_hour_': 10, 'hour_': 20}   # before a row's name: so many times its steps


def get_config(row=''):
  times, row = longer(row)
  if row not in (*ROWS, *map(codec_of, OF_CODEC)):
    raise core.InputError(f'{row!r} is not a row: there are {", ".join(ROWS)}')
  kind, network = row.rsplit('_', 1)
  if network == 'codec':
    (name, family, rate), _ = OF_CODEC[kind]
    config = base('fashion_mnist', 'vqvae', name, model=dict(learning_rate=rate, warmup=50, schedule='cosine', ema=.999))
  elif row in OF_CODEC:
    _, (name, family, sizes, rate, sample) = OF_CODEC[row]
    config = base('fashion_mnist', name, network, model=dict(learning_rate=rate, warmup=100, schedule='cosine', ema_width=.1))
    config.network.update(sizes)
    config.sample.update(sample)
    config.encode_ahead = True
  elif kind in GAMES:
    family, discriminator, generator = GAMES[kind]
    config = base('fashion_mnist', 'gan', network, discriminator=discriminator, generator={**generator, 'ema': .999})
    config.network.update(NETWORKS.get(network, {}))
    if network == 'conv':
      config.family.start = .02   # Radford et al. 2015, https://arxiv.org/abs/1511.06434, sec. 4
  elif kind in DIFFUSIONS:
    family, sample = DIFFUSIONS[kind]
    config = base('fashion_mnist', 'diffusion', network, model=dict(learning_rate=1e-3, warmup=100, schedule='cosine', ema_width=.1))
    config.sample.update(sample)
    config.network.update(NETWORKS.get(network, {}))
  else:
    family = CODERS[kind]
    roles = {'model': dict(learning_rate=1e-3, ema=.999), **({'prior': dict(learning_rate=1e-3)} if 'mixture' in family else {})}
    config = base('fashion_mnist', 'vae', network, **roles)
  config.family.update(family)
  if kind in GAMES or kind in CODERS:
    config.family.latent = 64 if kind in GAMES else 32
  # A trajectory is sampled six times, for the time that it takes to reach a quality.
  steps = times * STEPS.get(row, 0)   # 0, of a new row, is refused: --calibrate says how many
  config.update(steps=steps, batch_size=64, log_every=steps // 60, sample_every=steps, checkpoint_every=steps // 6, eval_every=steps // 6,
                eval_examples=2000, evals='score' if network == 'codec' else 'fid')
  return config


def longer(row) -> tuple[int, str]:
  """How many times its steps the row has, and its name without that."""
  return next(((times, row.removeprefix(prefix)) for prefix, times in LONGER.items() if row.startswith(prefix)), (1, row))


def codec_of(row):
  return f'{row}_codec'
