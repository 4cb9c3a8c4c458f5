"""Supervised classification with label smoothing (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567). One role: model."""
import flax.linen as nn
import jax.numpy as jnp

from gen_jax import core, losses, modalities, networks, optimizers

DEFAULTS = dict(smoothing=0.)
OF_TOKENS = True


class Classifier(nn.Module):
  encoder: nn.Module
  classes: int

  def setup(self):
    self.head = nn.Dense(self.classes)

  def features(self, x_B, **more):
    """(features [B, F], logits [B, classes])."""
    h_BxF = self.encoder(x_B, **more)
    return h_BxF, self.head(h_BxF)

  def __call__(self, x_B, **more):
    return self.features(x_B, **more)[1]


def make(config, spec) -> core.Family:
  if not spec.classes:
    raise core.InputError(f'a classifier needs labels, and {config.data.name} has none')
  if not 0 <= config.family.smoothing < 1:
    raise core.InputError(f'family.smoothing={config.family.smoothing} is not in [0, 1)')
  encoder, = networks.make(config.network, spec, 'encoder')
  if spec.tokenizer and not hasattr(encoder, 'vocabulary'):
    raise core.InputError(f'network {config.network.name} has no encoder of tokens: transformer has one')
  if spec.tokenizer:
    encoder = encoder.clone(vocabulary=modalities.of(spec).size(spec.tokenizer))
  net = Classifier(encoder, spec.classes)

  def init(key, batch):
    return {'model': net.init(core.fold(key, 'model'), batch['x'])['params']}, {'model': {}}, {}

  def measured(params, batch, smoothing, **more):
    logits_BxC = net.apply({'params': params}, batch['x'], **more)
    return (losses.cross_entropy(logits_BxC, batch['condition'], smoothing),
            (logits_BxC.argmax(-1) == batch['condition']).astype(jnp.float32))

  def loss(own, state, batch, keys_B, key):
    dropout = {'keys_B': core.fold(keys_B, 'dropout')} if spec.tokenizer else {}
    loss_B, accuracy_B = measured(own, batch, config.family.smoothing, **dropout)
    return loss_B, core.Aux({'accuracy': accuracy_B})

  def score(state, batch, keys_B):
    """How well the labels are known: {'cross_entropy', 'accuracy'}."""
    loss_B, accuracy_B = measured(state.averaged('model'), batch, 0.)
    return {'cross_entropy': loss_B, 'accuracy': accuracy_B}

  def classify(state, x_B):
    return net.apply({'params': state.averaged('model')}, x_B)

  return core.Family(init, {'model': optimizers.role(config.roles.model, config.steps, loss)}, score=score, classify=classify)
