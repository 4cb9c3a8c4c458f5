"""What is made of a model's logits before a token is drawn: pure functions of [N, V] logits, which put -inf where nothing is to be drawn."""
import jax
import jax.numpy as jnp

from gen_jax import core

DEFAULTS = dict(
    temperature=1.,             # 0: always the likeliest token
    top_k=0,                    # of so many tokens; 0: of all
    top_p=1.,                   # of the fewest that have this probability together (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751)
    min_p=0.,                   # of those at least so likely as this part of the likeliest (Nguyen et al. 2024, https://arxiv.org/abs/2407.01082)
    repetition=1.,              # logits of tokens that are there already are divided by it (Keskar et al. 2019, https://arxiv.org/abs/1909.05858)
)


def check(o):
  """Raises InputError for options out of range."""
  for name, fine, says in (('temperature', o.temperature >= 0, 'at least 0'), ('top_p', 0 < o.top_p <= 1, 'in (0, 1]'),
                           ('min_p', 0 <= o.min_p <= 1, 'in [0, 1]'), ('repetition', o.repetition >= 1, 'at least 1')):
    if not fine:
      raise core.InputError(f'sample.{name}={o[name]}: must be {says}')


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
