"""Generative models as games of pure functions: GANs, autoencoders and classifiers from one loop, reproduced to the bit from a seed."""
import os

# XLA on CPU: the native convolution's weight gradient runs 1.3 to 4 times faster without this fusion (experiments/speed/conv.py). It changes
# bits, so the manifest records XLA_FLAGS; XLA reads them when the first device is asked for. Set the flag yourself to choose otherwise.
if 'xla_cpu_experimental_ynn_fusion_type' not in os.environ.get('XLA_FLAGS', ''):
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_cpu_experimental_ynn_fusion_type='.strip()
