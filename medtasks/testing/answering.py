"""Checks of how a model answers: each says what holds and how to mend it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtasks.rounding import apart, same
from medtasks.testing.bench import Bench, renamed
from medtasks.testing.report import Absent, Broken
from medtasks.testing.spoiling import spoil

CHUNK = 7
"""Cases asked at a time: no divisor of the number of toy cases, so that the last stretch is shorter."""
ALONE = 3
"""Cases asked one by one: enough to tell, and quick with a model that is slow to start."""


def well_shaped(bench: Bench) -> None:
    """Answers are finite numbers of the shape that the task fixes; probabilities sum to one.

    To mend: return one row per case, and in it a number for each class or target in the order of `train.classes` or
    `train.names`: probabilities of classes (not labels) that sum to 1, no NaN. The class of the task tells more.
    """
    _check(bench, bench.raw, len(bench.test))


def one_answer_per_case(bench: Bench) -> None:
    """Each case gets its answer, in order, also where a case stands in the input twice; equal cases get equal ones.

    To mend: return one row per case; do not drop duplicates, sort or group on the way.
    """
    rows = np.array([0, 0, 1, 2, 1, 0])
    _alike(bench.answers[rows], bench.predict(bench.test.cases.take(rows)), "answers to cases that stand there twice")


def empty_input(bench: Bench) -> None:
    """No cases get no answers, in an array of the usual shape with 0 rows.

    To mend: return early where `len(cases) == 0`; many libraries refuse an empty array.
    """
    _check(bench, bench.predict(bench.test.cases.take(np.array([], dtype=np.int64))), 0)


def batch_size(bench: Bench) -> None:
    """An answer does not depend on how many cases are asked at once.

    To mend: use statistics of the training cases (`fit`), never those of the cases asked (`predict`); switch batch
    normalisation and dropout off.
    """
    n, cases = len(bench.test), bench.test.cases
    stretches = [np.arange(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    whole = bench.answers
    parts = np.concatenate([bench.predict(cases.take(rows)) for rows in stretches])
    _alike(whole, parts, f"answers to all cases at once and {CHUNK} at a time")
    alone = np.concatenate([bench.predict(cases.take(np.array([row]))) for row in range(ALONE)])
    _alike(whole[:ALONE], alone, "answers to all cases at once and one by one")


def row_order(bench: Bench) -> None:
    """An answer does not depend on where in the input the case stands.

    To mend: let nothing in `predict` depend on the position of a row or on the rows before it.
    """
    order = np.random.default_rng(0).permutation(len(bench.test))
    _alike(bench.answers[order], bench.predict(bench.test.cases.take(order)), "answers in another order of the cases")


def ignores_ids(bench: Bench) -> None:
    """An answer does not depend on what the case is called.

    To mend: read cases' content only; an id often tells the hospital or the year, which the model must not learn.
    """
    before = bench.answers
    other = renamed(bench.test.cases, [f"X{i:06d}" for i in range(len(bench.test))])
    _alike(before, bench.predict(other), "answers to the same cases under other ids")


def inputs_unchanged(bench: Bench) -> None:
    """Neither `fit` nor `predict` changes what it is given.

    To mend: copy before changing (`frame.copy()`, `targets.copy()`); others use the same cases after the model.
    """
    _ = bench.raw  # fitted and asked by now
    if bench.seen.changed:
        raise Broken("{} changed {}".format(*bench.seen.changed[0]))


def same_seed(bench: Bench) -> None:
    """The same data and the same seed give the same answers.

    To mend: draw from `context.rng`, and hand `context.seed` to every library that draws (`random_state`).
    """
    first = bench.answers
    again = bench.predict(bench.test.cases, bench.fit(bench.train, bench.valid))
    _alike(first, again, "answers of two models fitted with one seed")


def bad_case(bench: Bench) -> None:
    """A case that cannot be read, or an odd one (nearly nothing known, tiny), changes no other case's answer.

    To mend: answer every valid case with finite numbers, missing values being NaN or None in `Records.frame`.
    """
    made = spoil(bench.test.cases, bench.folder / "bad-case")
    if made is None:
        raise Absent(f"no bad case of the kind {bench.test.cases.kind} is known")
    mixed, plain = (bench.predictor.predict(source, context=bench.context) for source in (made.mixed, made.plain))
    wrong = mixed["status"].ne("ok").to_numpy()
    if np.flatnonzero(wrong).tolist() != [made.bad]:
        raise Broken(f"of {len(mixed)} rows {np.flatnonzero(wrong).tolist()} are invalid, not only {made.bad}")
    for name in plain.columns.drop(["id"]):
        there, here = mixed[name].iloc[made.places].reset_index(drop=True), plain[name]
        if not _same_column(there, here):
            raise Broken(f"the column {name} of ordinary cases changes when others stand between them")


def left_out(bench: Bench) -> None:
    """`left_out`, where `fit` sets it, is an answer to each validation case, as `predict` would return it.

    To mend: set it to an array with a row for each case of ``valid``, in order, or leave it None.
    """
    if bench.fitted.left_out is None:
        raise Absent("the model does not learn from validation cases")
    _check(bench, bench.fitted.left_out, len(bench.valid), "left_out")


def _check(bench: Bench, raw: npt.NDArray[Any], n: int, what: str = "predict") -> None:
    try:
        bench.task.check(raw, bench.outputs, n)
    except ValueError as error:
        raise Broken(str(error).replace("predict returned", f"{what} returned")) from None


def _alike(one: npt.NDArray[Any], other: npt.NDArray[Any], what: str) -> None:
    if not same(one, other):
        raise Broken(f"{what} differ: {apart(one, other)}")


def _same_column(one: pd.Series, other: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        a, b = one.to_numpy(dtype=np.float64), other.to_numpy(dtype=np.float64)
        known = np.isfinite(b)
        return bool((np.isfinite(a) == known).all()) and same(a[known], b[known])
    return one.astype(str).tolist() == other.astype(str).tolist()
