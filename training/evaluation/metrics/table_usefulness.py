"""Trains gradient-boosted trees (scikit-learn) on generated rows: to tell them from real rows, and to predict real rows."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import f1_score, r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from seedmint.models.columns import NULL, Column
from seedmint.training.evaluation.metrics.table_columns import is_discrete

_FOLDS = 3
_MAX_CATEGORIES = 255  # of the trees; columns with more categories are used as numbers
_MIN_ROWS = 2 * _FOLDS


def detection_auc(columns: tuple[Column, ...], generated: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve of a classifier that tells generated from real rows, by 3-fold cross-validation.

    Args:
        columns: The columns.
        generated: float32[n, d], codes. As many rows as `real` has are used, and conversely.
        real: float32[m, d], codes, m at least 6.

    Returns:
        0.5 if the classifier finds no difference, 1 if it finds all.
    """
    n = min(len(generated), len(real))
    x = _features(np.concatenate([generated[:n], real[:n]]))
    y = np.repeat([0, 1], n)
    if n < _MIN_ROWS:
        return 0.5
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    trees = HistGradientBoostingClassifier(random_state=0, categorical_features=_categorical(columns))
    scores = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


def prediction_score(
    columns: tuple[Column, ...], target: int, train: NDArray[np.float32], test: NDArray[np.float32]
) -> float | None:
    """Return how well a model predicts one column of the test rows: macro F1 of a discrete column, otherwise R².

    Args:
        columns: The columns.
        target: Number of the predicted column; rows without its value are left out.
        train: float32[n, d], codes.
        test: float32[m, d], codes.

    Returns:
        The score; None if the target has fewer than two values in the training rows, or no row is left.
    """
    others = [i for i in range(len(columns)) if i != target]
    train, test = (part[part[:, target] != NULL] for part in (train, test))
    if len(train) < _MIN_ROWS or not len(test) or len(np.unique(train[:, target])) < 2:
        return None
    categorical = [flag for i, flag in enumerate(_categorical(columns)) if i != target]
    x, x_test = _features(train[:, others]), _features(test[:, others])
    if not is_discrete(columns[target]):
        regression = HistGradientBoostingRegressor(random_state=0, categorical_features=categorical)
        return float(r2_score(test[:, target], regression.fit(x, train[:, target]).predict(x_test)))
    trees = HistGradientBoostingClassifier(random_state=0, categorical_features=categorical, early_stopping=False)
    predicted = trees.fit(x, train[:, target].astype(np.int64)).predict(x_test)
    return float(f1_score(test[:, target].astype(np.int64), predicted, average="macro"))


def _features(codes: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.where(codes == NULL, np.nan, codes.astype(np.float64))


def _categorical(columns: tuple[Column, ...]) -> list[bool]:
    return [is_discrete(column) and column.count < _MAX_CATEGORIES for column in columns]
