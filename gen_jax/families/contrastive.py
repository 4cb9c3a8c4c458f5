"""Images and captions in one space, each nearer to its own than to the batch's others (CLIP, Radford et al. 2021, https://arxiv.org/abs/2103.00020):
a judge of whether a picture shows what it was asked for. One role: model, whose loss mixes examples."""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core, losses, networks, optimizers

DEFAULTS = dict(size=64)   # of the common space

TEMPERATURE = .07   # at the start


class Judge(nn.Module):
  encoder: nn.Module
  words: int
  size: int

  @nn.compact
  def __call__(self, x_B, words_BxL):
    """Unit vectors of images and captions, [B, size] each, and what their products are multiplied with."""
    unit = lambda h: h * jax.lax.rsqrt((h**2).sum(-1, keepdims=True) + 1e-6)   # of no words there is no direction
    image_BxE = unit(nn.Dense(self.size)(self.encoder(x_B)))
    caption_BxE = unit(nn.Dense(self.size)(networks.Caption(self.words)(words_BxL)))
    return image_BxE, caption_BxE, jnp.exp(self.param('log_scale', nn.initializers.constant(-jnp.log(TEMPERATURE)), ()))


def make(config, spec) -> core.Family:
  if not spec.words:
    raise core.InputError(f'contrastive needs captions, and {config.data.name} has none')
  encoder, = networks.make(config.network, spec, 'encoder')
  net = Judge(encoder, len(spec.words), config.family.size)

  def init(key, batch):
    return {'model': net.init(core.fold(key, 'model'), batch['x'], batch['condition'])['params']}, {'model': {}}, {}

  def loss(own, state, batch, keys_B, key):
    image_BxE, caption_BxE, scale = net.apply({'params': own}, batch['x'], batch['condition'])
    logits_BxB = scale * image_BxE @ caption_BxE.T
    # What has the very same caption is no mistake: it is left out.
    words_BxL = batch['condition']
    same_BxB = (words_BxL[:, None] == words_BxL[None]).all(-1) & ~jnp.eye(len(words_BxL), dtype=bool)
    logits_BxB = jnp.where(same_BxB, -1e9, logits_BxB)
    own_B = jnp.arange(len(words_BxL))
    loss_B = (losses.cross_entropy(logits_BxB, own_B) + losses.cross_entropy(logits_BxB.T, own_B)) / 2
    return loss_B, core.Aux({'accuracy': (logits_BxB.argmax(-1) == own_B).astype(jnp.float32)})

  def score(state, batch, keys_B):
    """The cosine of the angle between an image and its caption."""
    image_BxE, caption_BxE, _ = net.apply({'params': state.averaged('model')}, batch['x'], batch['condition'])
    return {'cosine': jax.vmap(jnp.dot)(image_BxE, caption_BxE)}

  return core.Family(init, {'model': optimizers.role(config.roles.model, config.steps, loss, per_example=False)}, score=score)
