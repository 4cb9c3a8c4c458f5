"""A trained family, trained on by a reward of its samples, near to what it was: any family of one player that samples and knows its likelihood.

Each example's loss is of a group of samples drawn from the model itself, behind stop_gradient, with their rewards R and their divergence from the
reference k = log p - log q, an estimate of KL(p | q) that averages to it:

reinforce   -A log p with A = R - kl k less its mean over the others of the group (Williams 1992; Kool et al. 2019, a leave-one-out baseline):
            an unbiased gradient of E[R] - kl KL
grpo        the same with R less its mean in units of its deviation within the group (Shao et al. 2024, https://arxiv.org/abs/2402.03300), on whole
            sequences, with this k, and without clipping, since every draw is used once
dpo         -log sigmoid(kl (k of the best of the group - k of the worst)) (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290, eq. 7)

What the samples begin with is common to a group and leaves all three.
"""
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import core

METHODS = ('reinforce', 'grpo', 'dpo')


def rewarded(family: core.Family, draw, reward, options, end: int | None = None) -> core.Family:
  """draw: as family.sample, from the distribution that family.score tells, but for tokens that are never drawn; reward: x_N -> [N] on the host;
  options: rewards.DEFAULTS; end: the token that ends a sample, so that an example whose prompt has it counts for nothing.
  state.frozen['reference'] holds the reference's parameters by role.

  Its variables are {'of': the family's, 'kl': the cost of a nat}. Raises InputError for a family that does not fit, and for options out of range.
  """
  o = options
  if family.seeds or family.mesh:
    raise core.InputError('rewarded goes inside accumulated, seeds and devices')
  if len(family.roles) != 1 or family.sample is None or family.score is None:
    raise core.InputError('a reward trains a family of one player that samples and has a likelihood: autoregressive')
  for name, fine, says in (('method', o.method in METHODS, ', '.join(METHODS)), ('group', o.group > 1, 'at least 2'), ('kl', o.kl >= 0, 'at least 0'),
                           ('prompt', o.prompt >= 0, 'at least 0'), ('kl_target', o.kl_target >= 0, 'at least 0')):
    if not fine:
      raise core.InputError(f'reward.{name}={o[name]}: must be {says}')
  if not o.kl and (o.method == 'dpo' or o.kl_target):
    raise core.InputError('reward.kl=0 holds reward.method=dpo and reward.kl_target at nothing: both multiply it')
  (name, role), = family.roles.items()
  G = o.group

  def whole(state, **changes):
    """The family's own state."""
    rest = {part: tree for part, tree in state.frozen.items() if part != 'reference'}
    return state.replace(variables={name: state.variables[name]['of']}, frozen=rest, **changes)

  def init(key, batch):
    params, variables, frozen = family.init(key, batch)
    return params, {name: {'of': variables[name], 'kl': jnp.array(o.kl, jnp.float32)}}, frozen

  def loss(own, state, batch, keys_B, key):
    x_B = batch['x']
    if o.prompt and (x_B.ndim > 2 or o.prompt >= x_B.shape[1]):
      raise core.InputError(f'reward.prompt={o.prompt} is of texts of more tokens')
    each = lambda tree: jax.tree.map(lambda a: jnp.repeat(a, G, axis=0), tree)
    keys_N = jax.vmap(core.per_example, (0, None))(core.fold(keys_B, 'draw'), jnp.arange(G)).reshape(-1)
    prompt_BxP = x_B[:, :o.prompt]
    drawing = whole(state, params={name: jax.lax.stop_gradient(own)}, ema={})
    x_N = jax.lax.stop_gradient(draw(drawing, keys_N, each(prompt_BxP if o.prompt else batch.get('condition'))))
    shape = jax.ShapeDtypeStruct((len(x_N),), jnp.float32)
    reward_BxG = jax.pure_callback(lambda x: np.asarray(reward(np.asarray(x)), np.float32), shape, x_N, vmap_method='sequential').reshape(-1, G)

    def log_p(params, x_N, keys_N):
      found = family.score(whole(state, params={name: params}, ema={}), {**each(batch), 'x': x_N}, keys_N)
      told = [value for kind, value in found.items() if kind.startswith('log_likelihood')]
      if not told:
        raise core.InputError(f'a reward needs the likelihood of what is sampled, and this family tells {", ".join(found)}')
      return told[0]
    reference = state.frozen['reference'][name]
    log_p_BxG = log_p(own, x_N, keys_N).reshape(-1, G)
    k_BxG = log_p_BxG - log_p(reference, x_N, keys_N).reshape(-1, G)
    weight = state.variables[name]['kl']
    if o.method == 'dpo':
      best, worst = ((jnp.arange(G)[None] == at(reward_BxG, axis=1, keepdims=True)) for at in (jnp.argmax, jnp.argmin))
      margin_B = weight * (k_BxG * best - k_BxG * worst).sum(-1)
      loss_B = jnp.where(reward_BxG.max(-1) > reward_BxG.min(-1), -jax.nn.log_sigmoid(margin_B), 0. * reward_BxG.sum(-1))
    else:
      centred = lambda a_BxG: a_BxG - a_BxG.mean(-1, keepdims=True)
      scale = G / (G - 1) if o.method == 'reinforce' else 1 / (reward_BxG.std(-1, keepdims=True) + 1e-4)
      advantage_BxG = jax.lax.stop_gradient(centred(reward_BxG) * scale - weight * centred(k_BxG) * G / (G - 1))
      loss_B = -(advantage_BxG * log_p_BxG).mean(-1)
    kl_B = jax.lax.stop_gradient(k_BxG).mean(-1)
    if o.prompt:   # how likely the beginning is, which nobody drew
      begun_BxL = jnp.pad(prompt_BxP, ((0, 0), (0, x_N.shape[1] - o.prompt)))
      kl_B -= jax.lax.stop_gradient(log_p(own, begun_BxL, keys_B) - log_p(reference, begun_BxL, keys_B))
    counts_B = (x_B[:, 1:o.prompt] != end).all(-1).astype(jnp.float32) if o.prompt and end is not None else jnp.ones(len(x_B))
    kl = (kl_B * counts_B).sum() / jnp.maximum(1, counts_B.sum())
    return loss_B, core.Aux({'reward': reward_BxG.mean(-1), 'kl': kl_B}, kl, counts_B)

  def update(variables, kl, key):
    if not o.kl_target:
      return variables
    # Ziegler et al. 2019, https://arxiv.org/abs/1909.08593, section 2.2.
    return {**variables, 'kl': variables['kl'] * (1 + .1 * jnp.clip(kl / o.kl_target - 1, -.2, .2))}
  return family._replace(init=init, roles={name: role._replace(loss=loss, update=update)},
                         **core.reading(family, lambda f: lambda state, *rest: f(whole(state), *rest)))
