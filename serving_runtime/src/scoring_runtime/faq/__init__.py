"""FAQ matching: which known question does a new one repeat? Public; used by the runtime's task and by training.

`originals`, `text` and `groups` are what both forms share. The form of words: `vectors`, `likelihood` and `features` describe
a pair of texts by numbers, `postings` adds these up term by term, `matching` ranks all originals for a question; they need
scikit-learn and pandas (the extra `sklearn`), and LightGBM only when the model holds it. The form of meaning, `embeddings`,
needs NumPy and tokenizers (`onnx`).
So what needs more than NumPy is imported from its own module.
"""

from scoring_runtime.faq.originals import Match, Matcher, Original, Scores
from scoring_runtime.faq.text import clean_text

__all__ = ["TRUSTED_TYPES", "Match", "Matcher", "Original", "Scores", "clean_text"]

TRUSTED_TYPES: tuple[str, ...] = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "scipy.sparse._csr.csr_array",
    "scoring_runtime.faq.features.PairFeatures",
    "scoring_runtime.faq.selection.ColumnSelector",
    "scoring_runtime.faq.vectors.TextVectorizer",
)
"""Types, beyond those that skops trusts itself, for `skops.io.load` of an FAQ pipeline. None runs Python code of the
file; the libraries are native code all the same: give a digest when you do not trust the place the file comes from."""
