"""Arrays <-> files that people look at, read or hear: one file a modality."""
from gen_jax.modalities import image, text


def suffix(spec) -> str:
  """Of a file of the examples of a data.Spec."""
  return '.txt' if spec.tokenizer else '.png'


def save(path, x, spec, columns: int = 10):
  """Writes examples as people see them: images in a grid, points as a plot, tokens as text."""
  if spec.tokenizer:
    text.save(path, text.texts(x, spec.tokenizer))
  else:
    image.save(path, x, columns)
