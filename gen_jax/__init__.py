"""Generative models as games of pure functions: GANs, autoencoders and classifiers from one loop, reproduced to the bit from a seed."""
import importlib.metadata
import importlib.util
import os

# XLA on CPU: YNNPACK makes single dots and reductions faster, and the weight gradient of a convolution slower (1.5 to 5 times, by machine), so it
# gets the first two alone (experiments/speed/conv.py); only dots from jax 0.11 on, for in 0.12 its reductions are wrong (the goldens say so). It
# changes bits, so the manifest records XLA_FLAGS; XLA reads them when the first device is asked for. Set the flag yourself to choose otherwise.
# Where an accelerator's plugin is installed the flags stay alone: one built from another XLA aborts on a flag that it does not know.
if (importlib.util.find_spec('libtpu') is None and importlib.util.find_spec('jax_plugins') is None
    and 'xla_cpu_experimental_ynn_fusion_type' not in os.environ.get('XLA_FLAGS', '')):
  fusions = 'individual_dot,reduce' if importlib.metadata.version('jax').startswith('0.10.') else 'individual_dot'
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_cpu_experimental_ynn_fusion_type={fusions}'.strip()
