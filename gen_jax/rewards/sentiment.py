"""How likely a text is to be taken for praise, in [0, 1]: by logistic regression on the words and pairs of words of film reviews (`fetch sentiment`).

experiments/classification has its accuracy on held-out reviews (sentiment_tfidf).
"""
from ml_collections import ConfigDict
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gen_jax import core, data
from gen_jax.data import documents
from gen_jax.modalities import text

DEFAULTS = dict()

# Pinned, and so part of what a run's commit says that it was.
REVIEWS = '8ad6ca3cdd70890869ea23eeb55ad058641cd84e8217b78d0439ceb5149397fa'


def make(options, spec):
  if spec.modality != 'text':
    raise core.InputError('reward.name=sentiment is of text')
  place = data.directory() / 'sentiment'
  of, _, found = documents.divided(ConfigDict({**documents.DEFAULTS, 'path': str(place), 'between': '\n', 'labels': True}))
  if found != REVIEWS:
    raise core.InputError(f'{place} is not what `python -m gen_jax.fetch sentiment` brings')
  model = fitted([said for (said,), _ in of['train']], [label for _, label in of['train']])
  return lambda x_NxL: model.predict_proba(text.texts(x_NxL, spec.tokenizer))[:, 1]


def fitted(said: list[str], labels: list[int]):
  """scikit-learn's pipeline of TF-IDF and logistic regression."""
  features = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
  return make_pipeline(features, LogisticRegression(C=10., max_iter=1000)).fit(said, labels)
