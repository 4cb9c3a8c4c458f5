"""Sequences of tokens from a network that gives the next one's logits, [N, V]: drawn one by one (`generate`), relaxed to
weights of them all (`relaxed`), or the likeliest (`beams`).

Each is a compiled loop around `step: (tokens [N, 1], cache) -> (logits [N, 1, V], cache)`, from `empty: length -> cache` for so many tokens; but for
`relaxed` it ends when every sequence has.
"""
import functools
import math

import jax
import jax.numpy as jnp

from gen_jax import core

DEFAULTS = dict(
    temperature=1.,             # 0: always the likeliest token
    top_k=0,                    # of so many tokens; 0: of all
    top_p=1.,                   # of the fewest that have this probability together (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751)
    min_p=0.,                   # of those at least so likely as this part of the likeliest (Nguyen et al. 2024, https://arxiv.org/abs/2407.01082)
    tokens=0,                   # at most so many after the longest prompt; 0: as many as there is room for
    beams=1,                    # more: the likeliest of so many sequences that are kept side by side, and nothing is drawn
    length_penalty=1.,          # of beams: they compare by log p / tokens^this (Wu et al. 2016, https://arxiv.org/abs/1609.08144)
    repetition=1.,              # logits of tokens that are there already, but END, are divided by it (Keskar et al. 2019, https://arxiv.org/abs/1909.05858)
)


def check(o):
  """Raises InputError for options out of range."""
  for name, fine, says in (('temperature', 0 <= o.temperature < math.inf, 'at least 0, and finite'), ('top_p', 0 < o.top_p <= 1, 'in (0, 1]'),
                           ('top_k', o.top_k >= 0, 'at least 0'),
                           ('tokens', o.tokens >= 0, 'at least 0'), ('beams', o.beams >= 1, 'at least 1'),
                           ('min_p', 0 <= o.min_p <= 1, 'in [0, 1]'), ('length_penalty', math.isfinite(o.length_penalty), 'finite'),
                           ('repetition', 1 <= o.repetition < math.inf, 'at least 1, and finite')):
    if not fine:
      raise core.InputError(f'sample.{name}={o[name]}: must be {says}')
  idle = ('temperature', 'top_k', 'top_p', 'min_p', 'repetition') if o.beams > 1 else ('length_penalty',)
  for name in idle:
    if o[name] != DEFAULTS[name] and not (name == 'temperature' and o[name] == 0):   # the likeliest, too
      raise core.InputError(f'sample.{name}={o[name]} changes nothing with sample.beams={o.beams}: {DEFAULTS[name]} there')


def filtered(logits_NxV, seen_NxV, o):
  """The logits that tokens are drawn from. seen_NxV: whether a token is there already."""
  if o.repetition != 1:
    penalised = jnp.where(logits_NxV > 0, logits_NxV / o.repetition, logits_NxV * o.repetition)
    logits_NxV = jnp.where(seen_NxV, penalised, logits_NxV)
  logits_NxV /= o.temperature or 1.
  if o.temperature == 0:
    return jnp.where(jax.nn.one_hot(logits_NxV.argmax(-1), logits_NxV.shape[-1], dtype=bool), logits_NxV, -jnp.inf)
  if o.top_k and o.top_k < logits_NxV.shape[-1]:
    least_Nx1 = jax.lax.top_k(logits_NxV, o.top_k)[0][:, -1:]
    logits_NxV = jnp.where(logits_NxV >= least_Nx1, logits_NxV, -jnp.inf)
  if o.min_p:
    logits_NxV = jnp.where(logits_NxV >= logits_NxV.max(-1, keepdims=True) + jnp.log(o.min_p), logits_NxV, -jnp.inf)
  if o.top_p < 1:
    sorted_NxV = -jnp.sort(-logits_NxV, axis=-1)
    p_NxV = jax.nn.softmax(sorted_NxV, axis=-1)
    kept_NxV = p_NxV.cumsum(-1) - p_NxV < o.top_p   # the probability of what is likelier
    least_Nx1 = jnp.where(kept_NxV, sorted_NxV, jnp.inf).min(-1, keepdims=True)
    logits_NxV = jnp.where(logits_NxV >= least_Nx1, logits_NxV, -jnp.inf)
  return logits_NxV


categorical = jax.vmap(jax.random.categorical)   # (keys [N], logits [N, V]) -> tokens [N]


def inverse(keys_N, logits_NxV):
  """As `categorical`, other tokens of the same distribution, from two uniform numbers each instead of V Gumbel ones: faster of
  thousands of tokens on a CPU. The first finds a block of sqrt(V) tokens, the second a token in it, each to the 2^-23 of float32."""
  n, V = logits_NxV.shape
  K = math.ceil(V**.5)
  weights_NxV = jnp.exp(logits_NxV - logits_NxV.max(-1, keepdims=True))
  weights_NxKxK = jnp.pad(weights_NxV, ((0, 0), (0, K * K - V))).reshape(n, K, K)
  uniform_Nx2 = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys_N)

  def found(weights_NxK, uniform_N):
    sum_NxK = weights_NxK.cumsum(-1)
    return (sum_NxK <= uniform_N[:, None] * sum_NxK[:, -1:]).sum(-1)   # not <: what weighs nothing is not drawn
  block_N = found(weights_NxKxK.sum(-1), uniform_Nx2[:, 0])
  inside_NxK = jnp.take_along_axis(weights_NxKxK, block_N[:, None, None], axis=1)[:, 0]
  return block_N * K + found(inside_NxK, uniform_Nx2[:, 1])


def generate(step, empty, keys_N, given_NxL, never_V, o, nothing, end=None, draw=categorical):
  """[N, L]: what is given, and from its first `nothing` on what is drawn, as far as `end` (None: there is none).

  Token i is drawn with the key fold(keys, i): going on from a part gives what the whole gave. never_V: tokens that are not drawn. draw: or
  `inverse`.
  """
  n, last, ended = len(given_NxL), _last(given_NxL, o, nothing), -1 if end is None else end

  def going(carry):
    i, _, _, done_N, _ = carry
    return (i < last) & ~done_N.all()

  def one(carry):
    i, x_NxL, seen_NxV, done_N, cache = carry
    token_N = jax.lax.dynamic_index_in_dim(x_NxL, i, axis=1, keepdims=False)
    logits_Nx1xV, cache = step(token_N[:, None], cache)
    if o.repetition != 1:
      # But for `end`, which texts begin with: with it they would not end.
      seen_NxV |= jax.nn.one_hot(token_N, len(never_V), dtype=bool) & (jnp.arange(len(never_V)) != ended)[None]
    logits_NxV = filtered(jnp.where(never_V[None], -jnp.inf, logits_Nx1xV[:, 0]), seen_NxV, o)
    drawn_N = draw(core.fold(keys_N, i), logits_NxV)
    asked_N = jax.lax.dynamic_index_in_dim(given_NxL, i + 1, axis=1, keepdims=False)
    next_N = jnp.where(asked_N != nothing, asked_N, jnp.where(done_N, nothing, drawn_N))
    done_N |= next_N == ended
    return i + 1, jax.lax.dynamic_update_index_in_dim(x_NxL, next_N, i + 1, axis=1), seen_NxV, done_N, cache
  carry = jnp.zeros((), jnp.int32), given_NxL, jnp.zeros((n, len(never_V)), bool), jnp.zeros(n, bool)
  return _loop(going, one, carry, empty, given_NxL.shape[1])[1]


def _loop(going, one, carry, empty, length):
  """`one` while `going`, of a carry whose first is a token's index and whose last a cache for `length` tokens. A long one grows in four parts: the
  memory that each token reads is what takes the time, and so it is 5/8 of the whole."""
  like = lambda end: jax.eval_shape(lambda: empty(end))
  parts = 4 if length >= 128 and like(1) != like(length) else 1
  ends = [-(-length * part // parts) for part in range(1, parts + 1)]
  cache = empty(ends[0])
  for end in ends:
    cache = jax.tree.map(lambda old, new: jax.lax.dynamic_update_slice(new, old, (0,) * old.ndim), cache, empty(end))
    *carry, cache = jax.lax.while_loop(lambda carry, end=end: going(carry) & (carry[0] < end), one, (*carry, cache))
  return carry


def relaxed(step, empty, keys_N, first_N, length: int, never_V, temperature):
  """(Tokens [N, length - 1] that follow the first, the softmax that each is the largest of [N, length - 1, V]), drawn by Gumbel noise.

  At a temperature near 0 the softmax is nearly one-hot (Jang et al. 2017, https://arxiv.org/abs/1611.01144). step is given weights [N, 1, V]: the
  token that was drawn, with the gradient of its softmax (Bengio et al. 2013, https://arxiv.org/abs/1308.3432), so that all is differentiable.
  """
  V = len(never_V)

  def one(carry, i):
    token_NxV, cache = carry
    logits_Nx1xV, cache = step(token_NxV[:, None], cache)
    gumbel_NxV = jax.vmap(lambda key: jax.random.gumbel(key, (V,)))(core.fold(keys_N, i))
    soft_NxV = jax.nn.softmax((jnp.where(never_V[None], -1e9, logits_Nx1xV[:, 0]) + gumbel_NxV) / temperature)
    drawn_N = soft_NxV.argmax(-1)
    # In this order, for then what is added is 0 exactly.
    token_NxV = jax.nn.one_hot(drawn_N, V) + (soft_NxV - jax.lax.stop_gradient(soft_NxV))
    return (token_NxV, cache), (drawn_N, soft_NxV)
  _, (drawn_LxN, soft_LxNxV) = jax.lax.scan(one, (jax.nn.one_hot(first_N, V), empty(length)), jnp.arange(length - 1))
  return drawn_LxN.T, soft_LxNxV.swapaxes(0, 1)


def sample(network, params, keys_N, start_NxP, length: int, never_V, o, nothing, end=None, told=lambda logits: logits):
  """[N, length]: what a causal network (networks.Parts) makes of the prompts, with `nothing` behind them, as o says: `beams` or `generate`.

  told: what becomes of the logits first. Raises InputError for a prompt that is too long.
  """
  n = len(keys_N)
  if start_NxP.shape[1] > length:
    raise core.InputError(f'a prompt of {start_NxP.shape[1]} tokens is longer than the {length} that the model sees')
  given_NxL = jnp.pad(start_NxP, ((0, 0), (0, length - start_NxP.shape[1])), constant_values=nothing)
  step = stepper(network, params, told)
  if o.beams > 1:
    return beams(step, functools.partial(network.empty, n * o.beams), given_NxL, never_V, o, nothing, end)
  return generate(step, functools.partial(network.empty, n), keys_N, given_NxL, never_V, o, nothing, end)


def stepper(network, params, told=lambda logits: logits):
  """A causal network as `generate` and `beams` take it."""
  def step(tokens_Nx1, cache):
    logits_Nx1xV, cache = network.apply({'params': params}, tokens_Nx1, cache=cache)
    return told(logits_Nx1xV), cache
  return step


def beams(step, empty, given_NxL, never_V, o, nothing, end=None):
  """[N, L]: what is given, and the likeliest that follows, of o.beams sequences kept at each length. The cache is of N * o.beams sequences.

  With as many beams as there are sequences it is the likeliest of them all.
  """
  N, L = given_NxL.shape
  K, V = o.beams, len(never_V)
  last = _last(given_NxL, o, nothing)
  score = lambda sum_NxK, count_NxK: sum_NxK / jnp.maximum(count_NxK, 1)**o.length_penalty

  def going(carry):
    i, *_, done_NxK, _ = carry
    return (i < last) & ~done_NxK.all()

  def one(carry):
    i, x_NxKxL, sum_NxK, count_NxK, done_NxK, cache = carry
    logits, cache = step(jax.lax.dynamic_index_in_dim(x_NxKxL, i, axis=2, keepdims=False).reshape(N * K, 1), cache)
    log_p_NxKxV = jnp.where(never_V[None, None], -jnp.inf, jax.nn.log_softmax(logits.reshape(N, K, V), axis=-1))
    asked_Nx1 = jax.lax.dynamic_index_in_dim(given_NxL, i + 1, axis=1)
    # What is given, and what follows an end, is certain, and counts as no token.
    certain_NxK = (asked_Nx1 != nothing) | done_NxK
    only_NxV = jnp.where(jax.nn.one_hot(jnp.maximum(asked_Nx1[:, 0], 0), V, dtype=bool), 0., -jnp.inf)
    sums_NxKxV = sum_NxK[..., None] + jnp.where(certain_NxK[..., None], only_NxV[:, None], log_p_NxKxV)
    counts_NxK = count_NxK + ~certain_NxK
    _, best_NxK = jax.lax.top_k(score(sums_NxKxV, counts_NxK[..., None]).reshape(N, K * V), K)
    parent_NxK, next_NxK = best_NxK // V, best_NxK % V
    take = functools.partial(jnp.take_along_axis, indices=parent_NxK, axis=1)
    done_NxK = take(done_NxK)
    next_NxK = jnp.where(asked_Nx1 != nothing, asked_Nx1, jnp.where(done_NxK, nothing, next_NxK))
    x_NxKxL = jnp.take_along_axis(x_NxKxL, parent_NxK[..., None], axis=1)
    x_NxKxL = jax.lax.dynamic_update_index_in_dim(x_NxKxL, next_NxK, i + 1, axis=2)
    rows = (jnp.arange(N)[:, None] * K + parent_NxK).reshape(-1)
    cache = jax.tree.map(lambda a: a[rows] if a.ndim else a, cache)
    sum_NxK = jnp.take_along_axis(sums_NxKxV.reshape(N, K * V), best_NxK, axis=1)
    return i + 1, x_NxKxL, sum_NxK, take(counts_NxK), done_NxK | (next_NxK == (-1 if end is None else end)), cache
  first_NxK = jnp.broadcast_to(jnp.where(jnp.arange(K)[None] == 0, 0., -jnp.inf), (N, K))   # or all would be the same
  carry = (jnp.zeros((), jnp.int32), jnp.broadcast_to(given_NxL[:, None], (N, K, L)), first_NxK, jnp.zeros((N, K), jnp.int32),
           jnp.zeros((N, K), bool))
  _, x_NxKxL, sum_NxK, count_NxK, *_ = _loop(going, one, carry, empty, L)
  return x_NxKxL[jnp.arange(N), score(sum_NxK, count_NxK).argmax(-1)]


def _last(given_NxL, o, nothing):
  """The index of the last token."""
  end = given_NxL.shape[1] - 1
  return jnp.minimum((given_NxL != nothing).sum(-1).max() - 1 + o.tokens, end) if o.tokens else end
