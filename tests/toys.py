"""A game small enough to run under every transformation, one toy transformation of each kind, and how a step of it is compared.

What costs here is to compile, so numbers are uniform, and keys come from outside and of a hash in ten operations where threefry has hundreds.
"""
import functools
import math

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import optax

from gen_jax import core
from gen_jax.transforms.accumulated import accumulated
from gen_jax.transforms.devices import devices, make_mesh, shardings, specs_of
from gen_jax.transforms.seeds import seeds

D, H, B, S = 4, 8, 8, 2   # of an example, hidden, examples a turn, seeds
CRITIC_TURNS = 2


def _mix(x):
  """Wellons' lowbias32: a hash of uint32."""
  x = (x ^ x >> 16) * jnp.uint32(0x7feb352d)
  x = (x ^ x >> 15) * jnp.uint32(0x846ca68b)
  return x ^ x >> 16


def _count(shape):
  return jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)


KEYS = jax.extend.random.define_prng_impl(
    key_shape=(1,), name='mixed', tag='mix',
    seed=lambda seed: _mix(seed.astype(jnp.uint32))[None],
    split=lambda key, shape: _mix(key[0] ^ _mix(_count(shape) + 1))[..., None],
    random_bits=lambda key, width, shape: _mix(key[0] + _mix(_count(shape))),
    fold_in=lambda key, data: _mix(key * 3 + _mix(jnp.asarray(data).astype(jnp.uint32))))


def uniform(keys_B):
  return jax.vmap(lambda key: jax.random.uniform(key, (D,), minval=-1.))(keys_B)


def game(optimizer=optax.sgd) -> core.Family:
  """A critic of two clipped turns that keeps running statistics, and a model with a moving average."""
  def init(key, batch):
    draw = lambda name, *shape: jax.random.uniform(core.fold(key, name), shape, minval=-1.)
    params = {'critic': {'w': draw('w', D, H), 'b': draw('b', H)}, 'model': {'u': draw('u', D, H), 'v': draw('v', H, D)}}
    return params, {'critic': {'moment': jnp.zeros(H)}, 'model': {}}, {'scale': jnp.full((), 2.)}

  def hidden(params, x):
    return jnp.tanh(x @ params['w'] + params['b'][None])

  def generate(params, keys):
    return jnp.tanh(uniform(core.fold(keys, 'z')) @ params['u']) @ params['v']

  def critic_loss(own, state, batch, keys, key):
    h = hidden(own, batch['x'])
    real, fake = h.sum(-1), hidden(own, generate(state.params['model'], keys)).sum(-1)
    # One draw for the whole batch, and what the critic has seen so far.
    draw = jax.random.uniform(core.fold(key, 'draw'), (H,))
    loss = jax.nn.softplus(-real) + jax.nn.softplus(fake) + ((h - state.variables['critic']['moment'][None]) * draw[None]).mean(-1)
    return loss, core.Aux({'real': real}, {'moment': h.mean(0)})

  def model_loss(own, state, batch, keys, key):
    x = generate(own, keys)
    gap = ((x - batch['x'])**2).mean(-1)
    return jax.nn.softplus(-hidden(state.params['critic'], x).sum(-1)) + state.frozen['scale'] * gap, core.Aux({'gap': gap})

  def update(variables, statistics, key):
    return {'moment': .9 * variables['moment'] + .1 * statistics['moment']}

  def sample(state, keys, condition=None):
    return generate(state.averaged('model'), keys)

  def score(state, batch, keys):
    return {'critic': hidden(state.params['critic'], batch['x']).sum(-1)}
  roles = {'critic': core.Role(critic_loss, optimizer(.3), turns=CRITIC_TURNS, clip=.4, update=update),
           'model': core.Role(model_loss, optimizer(.2), ema=.9)}
  return core.Family(init, roles, sample, score)


def each_role(family, change):
  return family._replace(roles={name: role._replace(**change(role)) for name, role in family.roles.items()})


def noised(family, scale=.3):
  """A loss: examples are noised first."""
  def change(role):
    def loss(own, state, batch, keys, key):
      return role.loss(own, state, {**batch, 'x': batch['x'] + scale * uniform(core.fold(keys, 'noised'))}, keys, key)
    return dict(loss=loss)
  return each_role(family, change)


def private(family, clip=.5, noise=.7):
  """A gradient and its finish: clipped example by example, noise added once."""
  for name, role in family.roles.items():
    if role.gradient is not core.mean_gradient or not role.per_example:
      raise core.InputError(f'private goes inside, around the plain gradient of a role that does not mix examples, and {name} is none')

  def change(role):
    def gradient(loss, own, state, batch, keys, key):
      def one(*example):
        g = core.mean_gradient(loss, own, state, *jax.tree.map(lambda x: x[None], example), key)
        return g._replace(grads=jax.tree.map(lambda x: x * jnp.minimum(1., clip / optax.global_norm(g.grads)), g.grads))
      each = jax.vmap(one)(batch, keys)
      return core.Gradient(*jax.tree.map(lambda x: x.mean(0), each[:3]), count=each.count.sum())

    def finish(grads, count, key):
      grads = role.finish(grads, count, core.fold(key, 'inner'))
      leaves, tree = jax.tree.flatten(grads)
      keys = jax.random.split(core.fold(key, 'private'), len(leaves))
      return jax.tree.unflatten(tree, [g + clip * noise / count * jax.random.uniform(k, g.shape, minval=-1.) for g, k in zip(leaves, keys)])
    return dict(gradient=gradient, finish=finish)
  return each_role(family, change)


def revived(family):
  """An update that draws: what lies below 0 is drawn again, as dead codes are."""
  def change(role):
    def update(variables, statistics, key):
      variables = role.update(variables, statistics, core.fold(key, 'inner'))
      return jax.tree.map(lambda x: jnp.where(x < 0, jax.random.uniform(core.fold(key, 'revived'), x.shape), x), variables)
    return dict(update=update)
  return each_role(family, change)


def clients(family, n=2):
  """A step: n clients play on their part of the batch from the same state; the mean of what they arrive at is the new state."""
  inner = family.step

  def step(family, state, batch, keys, key):
    parts = core.split((batch, keys), n, core.batch_axis(family))
    played = [inner(family, state, *part, core.fold(key, i)) for i, part in enumerate(parts)]
    return jax.tree.map(lambda *xs: sum(xs) / n if jnp.issubdtype(xs[0].dtype, jnp.floating) else xs[0], *played)
  return family._replace(step=step)


TRANSFORMS = {   # in the canonical order, inner to outer
    'noised': noised, 'private': private, 'revived': revived, 'clients': clients,
    'accumulated': lambda family: accumulated(family, 2),
    'seeds': lambda family: seeds(family, S),
    'devices': lambda family: devices(family, make_mesh('data=2,fsdp=2')),
}


def compose(names, family=None):
  """The transformations applied in this order: the last is outermost."""
  family = family or game()
  for name in names:
    family = TRANSFORMS[name](family)
  return family


@functools.cache
def inputs(seed, optimizer=optax.sgd):
  """(state, x, key data) of the plain game: what every step starts from, on the host."""
  @jax.jit
  def make(seed):
    state = core.create(game(optimizer), core.fold(jax.random.key(seed, impl=KEYS), 'init'), {'x': jnp.zeros((1, D))})
    root = jax.random.key(100 + seed, impl=KEYS)
    keys = core.per_example(core.fold(root, 'example'), jnp.arange(2 * B * CRITIC_TURNS)), core.fold(root, 'batch')
    return state, jax.tree.map(jax.random.key_data, keys)
  state, keys = jax.device_get(make(seed))
  return state, np.random.default_rng(seed).standard_normal((2 * B * CRITIC_TURNS, D)).astype(np.float32), keys


def stack(states_and_more):
  """What `seeds` holds and gives, from the same of each run alone."""
  tree = jax.tree.map(lambda *xs: np.stack(xs), *states_and_more)
  return tree[0].replace(step=states_and_more[0][0].step, frozen=states_and_more[0][0].frozen), *tree[1:]


def wrap(data):
  return jax.tree.map(lambda x: jax.random.wrap_key_data(x, impl=KEYS), data)


def stepper(family):
  """(state, x, key data) -> (state, metrics), one step; compiled once."""
  def step(state, x, keys):
    return family.step(family, state, {'x': x}, *wrap(keys))
  if not family.mesh:
    return jax.jit(step)

  def sharded(state, *given):
    placed = shardings(family, specs_of(family, state))
    return jax.jit(step, out_shardings=(placed, None))(jax.device_put(state, placed), *given)
  return sharded


def play(family):
  """(state, metrics) after one step of seed 0, or of the first seeds."""
  return stepper(family)(*(stack([inputs(seed) for seed in range(family.seeds)]) if family.seeds else inputs(0)))


def close(a, b, tolerance=1e-5):
  """Every leaf of two trees agrees to `tolerance` of the leaf's largest value (or of 1e-2, for sums that cancel)."""
  a, b = jax.device_get((a, b))
  assert jax.tree.structure(a) == jax.tree.structure(b), (jax.tree.structure(a), jax.tree.structure(b))
  for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b)):
    assert x.shape == y.shape and x.dtype == y.dtype, (jax.tree_util.keystr(path), x.shape, y.shape, x.dtype, y.dtype)
    np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1e-2, np.abs(y).max(initial=0)), err_msg=jax.tree_util.keystr(path))


def weights(init, *given):
  """Numbers in the place of what init(*given) makes, away from a network's start, where a denoiser gives zeros; nothing is compiled for them."""
  rng = np.random.default_rng(0)

  def drawn(x):
    if not jnp.issubdtype(x.dtype, jnp.inexact):
      return np.zeros(x.shape, x.dtype)
    return (rng.standard_normal(x.shape) / max(1, math.prod(x.shape[:-1]))**.5 + (x.ndim == 1)).astype(x.dtype)
  return jax.tree.map(drawn, jax.eval_shape(init, *given))
