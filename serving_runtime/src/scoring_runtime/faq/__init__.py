"""FAQ matching: which known question does a new one repeat? Public; used by the runtime's task and by training.

`text` cleans, `vectors` and `features` describe a pair of texts by numbers, `matching` ranks all originals for a question.
Needs scikit-learn and pandas (the `sklearn` extra); LightGBM only when the model holds it.
"""

from scoring_runtime.faq.features import PairFeatures
from scoring_runtime.faq.matching import FaqMatcher, Original
from scoring_runtime.faq.selection import ColumnSelector
from scoring_runtime.faq.text import clean_text

__all__ = ["TRUSTED_TYPES", "ColumnSelector", "FaqMatcher", "Original", "PairFeatures", "clean_text"]

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
