"""Saving a model so that the same model gives the same bytes, whatever words it has learnt."""

import skops.io
from sklearn.feature_extraction.text import CountVectorizer

from scoring_cli.packaging.skops_files import dump_exactly


def test_a_vocabulary_may_hold_the_words_that_skops_uses_itself() -> None:
    fitted = CountVectorizer(token_pattern=r"\S+").fit(["open the file __id__ again"])
    saved = dump_exactly(fitted)
    assert saved == dump_exactly(fitted)
    restored = skops.io.loads(saved, trusted=skops.io.get_untrusted_types(data=saved))
    assert restored.vocabulary_ == fitted.vocabulary_
