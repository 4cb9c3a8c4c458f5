"""A game small enough to run under every transformation, one toy transformation of each kind, and how a step of it is compared."""
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen_jax import core
from gen_jax.transforms.accumulated import accumulated
from gen_jax.transforms.devices import devices, make_mesh, shardings, specs_of
from gen_jax.transforms.seeds import seeds

D, H, B, S = 4, 8, 8, 2   # of an example, hidden, examples a turn, seeds
CRITIC_TURNS = 2


def game(weight=None, optimizer=optax.sgd) -> core.Family:
  """A critic of two clipped turns that keeps running statistics, and a model with a moving average. weight: x_BxD -> weight_B."""
  def init(key, batch):
    normal = lambda name, *shape: .5 * jax.random.normal(core.fold(key, name), shape)
    params = {'critic': {'w': normal('w', D, H), 'b': normal('b', H)}, 'model': {'u': normal('u', D, H), 'v': normal('v', H, D)}}
    return params, {'critic': {'moment': jnp.zeros(H)}, 'model': {}}, {'scale': jnp.full((), 2.)}

  def hidden(params, x):
    return jnp.tanh(x @ params['w'] + params['b'][None])

  def generate(params, keys):
    return jnp.tanh(jax.vmap(lambda key: jax.random.normal(key, (D,)))(core.fold(keys, 'z')) @ params['u']) @ params['v']

  def aux(metrics, batch, h=None):
    if weight is None:
      return core.Aux(metrics, () if h is None else {'moment': h.mean(0)})
    w = weight(batch['x'])
    return core.Aux(metrics, () if h is None else {'moment': (w[:, None] * h).sum(0) / jnp.maximum(w.sum(), 1e-9)}, w)

  def critic_loss(own, state, batch, keys, key):
    h = hidden(own, batch['x'])
    real, fake = h.sum(-1), hidden(own, generate(state.params['model'], keys)).sum(-1)
    # One draw for the whole batch, and what the critic has seen so far.
    draw = jax.random.normal(core.fold(key, 'draw'), (H,))
    loss = jax.nn.softplus(-real) + jax.nn.softplus(fake) + ((h - state.variables['critic']['moment'][None]) * draw[None]).mean(-1)
    return loss, aux({'real': real}, batch, h)

  def model_loss(own, state, batch, keys, key):
    x = generate(own, keys)
    gap = ((x - batch['x'])**2).mean(-1)
    return jax.nn.softplus(-hidden(state.params['critic'], x).sum(-1)) + state.frozen['scale'] * gap, aux({'gap': gap}, batch)

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
      x = jax.vmap(lambda x, key: x + scale * jax.random.normal(key, x.shape))(batch['x'], core.fold(keys, 'noised'))
      return role.loss(own, state, {**batch, 'x': x}, keys, key)
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
      return jax.tree.unflatten(tree, [g + clip * noise / count * jax.random.normal(k, g.shape) for g, k in zip(leaves, keys)])
    return dict(gradient=gradient, finish=finish)
  return each_role(family, change)


def revived(family):
  """An update that draws: what lies below 0 is drawn again, as dead codes are."""
  def change(role):
    def update(variables, statistics, key):
      variables = role.update(variables, statistics, core.fold(key, 'inner'))
      return jax.tree.map(lambda x: jnp.where(x < 0, jax.random.normal(core.fold(key, 'revived'), x.shape), x), variables)
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
    'devices': lambda family: devices(family, make_mesh('data=4')),
    'fsdp': lambda family: devices(family, make_mesh('data=2,fsdp=2')),
}


def compose(names, family=None):
  """The transformations applied in this order: the last is outermost."""
  family = family or game()
  for name in names:
    family = TRANSFORMS[name](family)
  return family


def examples(seed):
  """Of a step: both clients' turns."""
  return np.random.default_rng(seed).standard_normal((2 * B * CRITIC_TURNS, D)).astype(np.float32)


def create(family, seeds_S):
  keys = jax.vmap(lambda seed: core.fold(jax.random.key(seed), 'init'))(seeds_S)
  return core.create(family, keys if family.seeds else keys[0], {'x': jnp.zeros((1, D))})


def step(family, state, x_S, seeds_S):
  """One step of the seeds side by side, or of the first of them."""
  def keyed(x, seed):
    root = jax.random.key(100 + seed)
    return core.per_example(core.fold(root, 'example'), jnp.arange(len(x))), core.fold(root, 'batch')
  keys, key = jax.vmap(keyed)(x_S, seeds_S)
  given = {'x': x_S}, keys, key
  return family.step(family, state, *(given if family.seeds else jax.tree.map(lambda x: x[0], given)))


def play(family, first=0, x=None):
  """(state, metrics) after one step of the seeds `first`, `first` + 1 .. on the examples x, or on their own."""
  seeds_S = np.arange(first, first + (family.seeds or 1))
  x_S = np.stack([examples(seed) if x is None else x for seed in seeds_S])
  placed = None
  if family.mesh:
    placed = shardings(family, specs_of(family, jax.eval_shape(lambda: create(family, seeds_S))))
  state = jax.jit(lambda: create(family, seeds_S), out_shardings=placed)()
  return jax.jit(lambda *given: step(family, *given), out_shardings=placed and (placed, None))(state, x_S, seeds_S)


def side_by_side(*runs):
  """What `seeds` should give from the runs alone."""
  state, metrics = jax.tree.map(lambda *xs: np.stack(xs), *runs)
  return state.replace(step=runs[0][0].step, frozen=runs[0][0].frozen), metrics


def close(a, b, tolerance=1e-5):
  """Every leaf of two trees agrees to `tolerance` of the leaf's largest value (or of 1e-2, for sums that cancel)."""
  a, b = jax.device_get((a, b))
  assert jax.tree.structure(a) == jax.tree.structure(b), (jax.tree.structure(a), jax.tree.structure(b))
  for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b)):
    assert x.shape == y.shape and x.dtype == y.dtype, (jax.tree_util.keystr(path), x.shape, y.shape, x.dtype, y.dtype)
    np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1e-2, np.abs(y).max(initial=0)), err_msg=jax.tree_util.keystr(path))
