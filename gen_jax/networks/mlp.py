"""Fully connected: two hidden layers by default, as in the first GAN and VAE papers and their tutorials. Any shape of x."""
import math

import flax.linen as nn
import jax.numpy as jnp

from gen_jax.networks import Context, Parts

DEFAULTS = dict(
    width=512,
    layers=2,
    gated=False,                # encoder and decoder: a layer times the sigmoid of another, in place of a rectifier (Dauphin et al. 2017)
    dtype='float32',
)


class Encoder(nn.Module):
  width: int
  layers: int
  gated: bool
  dtype: str

  @nn.compact
  def __call__(self, x):
    dense = lambda: nn.Dense(self.width, dtype=self.dtype)
    h_BxF = x.reshape(len(x), -1)
    for _ in range(self.layers):
      h_BxF = dense()(h_BxF) * nn.sigmoid(dense()(h_BxF)) if self.gated else nn.leaky_relu(dense()(h_BxF), .2)
    return h_BxF.astype(jnp.float32)


class Decoder(nn.Module):
  shape: tuple[int, ...]     # of one x, the last axis replaced by `channels`
  channels: int
  width: int
  layers: int
  gated: bool
  dtype: str

  @nn.compact
  def __call__(self, z_BxZ):
    dense = lambda: nn.Dense(self.width, dtype=self.dtype)
    h_BxF = z_BxZ
    for _ in range(self.layers):
      h_BxF = dense()(h_BxF) * nn.sigmoid(dense()(h_BxF)) if self.gated else nn.relu(dense()(h_BxF))
    shape = (*self.shape[:-1], self.channels)
    return nn.Dense(math.prod(shape), dtype=self.dtype)(h_BxF).reshape(len(h_BxF), *shape).astype(jnp.float32)


class Denoiser(nn.Module):
  channels: int
  width: int
  layers: int
  dtype: str

  @nn.compact
  def __call__(self, x_B, level_B, condition_BxE=None):
    dense = lambda n: nn.Dense(n, dtype=self.dtype)
    context_BxF = Context(self.width, self.dtype)(level_B, condition_BxE)
    h_BxF = dense(self.width)(x_B.reshape(len(x_B), -1))
    for _ in range(self.layers):
      h_BxF += dense(self.width)(nn.silu(dense(self.width)(h_BxF) + dense(self.width)(context_BxF)))
    shape = (*x_B.shape[1:-1], self.channels)
    return dense(math.prod(shape))(nn.silu(h_BxF)).reshape(len(x_B), *shape).astype(jnp.float32)


def make(options, spec):
  o, channels = options, spec.shape[-1]
  return Parts(Encoder(o.width, o.layers, o.gated, o.dtype), Decoder(spec.shape, channels, o.width, o.layers, o.gated, o.dtype),
               Denoiser(channels, o.width, o.layers, o.dtype))
