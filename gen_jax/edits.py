"""Edits of images as projections of the clean image that a diffusion sees at each step, in a table: (clean, given, mask) -> clean.

What is given stays, the model makes the rest: x = A+ y + (1 - A+ A) x for a linear A with pseudo-inverse A+ (Wang et al. 2022,
https://arxiv.org/abs/2212.00490). given: [N, H, W, C], to `enlarge` [N, H/f, W/f, C]; mask: [N, H, W, 1], 1 where the model paints.
"""

def enlarge(clean, given, mask):
  """The means over squares are what is given."""
  n, h, w, c = given.shape
  factor = clean.shape[1] // h
  missing = given - clean.reshape(n, h, factor, w, factor, c).mean((2, 4))
  return clean + missing.repeat(factor, axis=1).repeat(factor, axis=2)


EDITS = {
    'inpaint': lambda clean, given, mask: mask * clean + (1 - mask) * given,
    'enlarge': enlarge,
    'colour': lambda clean, given, mask: clean + (given - clean).mean(-1, keepdims=True),
    # Starts from what is given, noised to config.sample.strength (Meng et al. 2022, https://arxiv.org/abs/2108.01073).
    'vary': lambda clean, given, mask: clean,
}
