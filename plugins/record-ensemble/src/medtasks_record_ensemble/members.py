"""Fitting the members, and choosing out of fold how strong each should be and how much it counts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medtasks.model import Context, Progress
from medtasks.stored import Codes, Values
from medtasks_record_ensemble.blend import better, fold_numbers, losses, sharpen, sharpness, weigh
from medtasks_record_ensemble.linear import Linear
from medtasks_record_ensemble.trees import Boosted, Forest

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Inverse L2 penalties of the logistic regression, from strong to weak."""
TRIES: tuple[str | float, ...] = ("sqrt", 0.5)
"""Columns that an extra tree tries at each split: few by default, many where most columns are noise or few
cases are hard."""
LIGHT = 0.05
"""A member with less weight than this is left out: it costs time and space and changes little."""
BUDGET = 2000
"""Boosted trees at most, over all classes."""
LARGE = 20_000
"""From so many cases on, fits use all threads."""
SMALL = 1000
"""With fewer cases the folds are dealt twice: one deal says little about them."""
PARTS = 20
"""Parts that cases are left out in to be answered; half as many where boosting, the slowest member, is in the blend.
Models that learnt from 80 % of few cases are less sure of new ones than the one that answers, of 95 % hardly."""

Member = Linear | Forest | Boosted


@dataclass(frozen=True)
class Plan:
    """What is fitted: everything but the data.

    Attributes
    ----------
    columns : encoded columns, which trees see; the level columns behind them are for the linear member
    strength, levels : the penalty of the linear member, and whether it sees the level columns
    factor : on the linear member's scores
    trees, leaf : number of extra trees, and the fewest cases in a leaf
    tries : columns, or share of them, that an extra tree tries at a split
    rounds : of boosting
    weights : name of each member -> its weight
    """

    columns: int
    trees: int
    leaf: int
    strength: float = 0.03
    levels: bool = False
    factor: float = 1.0
    tries: str | float = TRIES[0]
    rounds: int = 50
    weights: dict[str, float] = field(default_factory=dict)


@dataclass
class Held:
    """Out-of-fold probabilities (n, classes) of each member's candidates, by their settings.

    ``rows`` are the rows of training they belong to, each once a deal.
    """

    rows: Codes
    targets: Codes
    linear: dict[tuple[float, bool], Values]
    forest: dict[str | float, Values]
    boosted: dict[int, Values]
    repeats: int

    def take(self, places: Codes) -> Held:
        """Return a part of it."""
        return Held(
            self.rows[places],
            self.targets[places],
            {key: values[places] for key, values in self.linear.items()},
            {key: values[places] for key, values in self.forest.items()},
            {key: values[places] for key, values in self.boosted.items()},
            self.repeats,
        )


def hold_out(
    plan: Plan,
    features: Values,
    targets: Codes,
    *,
    boosting: str | bool,
    folds: int,
    context: Context,
    groups: npt.NDArray[Any] | None = None,
) -> Held | None:
    """Predict each case with members that have not seen it; None where too few cases can be held out."""
    deals = 2 if len(targets) < SMALL else 1
    rng = context.rng
    jobs: list[tuple[Codes, Codes]] = []
    for _ in range(deals):
        numbers = fold_numbers(targets, folds, rng, groups)
        jobs += [(numbers != fold, np.flatnonzero(numbers == fold)) for fold in range(folds)]
    kept: list[tuple[Codes, dict[Any, Values]]] = []
    for train, rows in context.progress.track(jobs, "choosing", len(jobs)):
        if len(rows) and len(np.unique(targets[train])) > 1 and not context.late():
            said = _candidates(plan, features, targets, train, rows, boosting is not False, context)
            kept.append((rows, said))
    if sum(len(rows) for rows, _ in kept) < 2:
        return None
    rows = np.concatenate([part for part, _ in kept])
    whole = {key: np.concatenate([part[key] for _, part in kept]) for key in kept[0][1]}
    linear = {key[1:]: values for key, values in whole.items() if key[0] == "linear"}
    forest = {key[1]: values for key, values in whole.items() if key[0] == "forest"}
    boosted = {key[1]: values for key, values in whole.items() if key[0] == "boosted"}
    return Held(rows, targets[rows], linear, forest, boosted, deals)


def left_out(
    plan: Plan,
    held: Held,
    features: Values,
    targets: Codes,
    *,
    boosting: str | bool,
    context: Context,
    groups: npt.NDArray[Any] | None = None,
) -> Values | None:
    """Return (n, classes), what the blend says of each case that neither its members nor its choices have seen.

    The cases are cut into `PARTS`; for each, penalty, rounds and weights are chosen and the members fitted on the
    others. Like the scores of cross-conformal prediction (Vovk 2015, doi:10.1007/s10472-013-9368-4) an answer comes
    from one model, not from the mean of several, which would be less wrong. None where a case cannot be left out.
    """
    boosted = "boosted" in choose(plan, held, boosting).weights
    numbers = fold_numbers(targets, PARTS // 2 if boosted else PARTS, context.rng, groups)
    parts = np.unique(numbers).tolist()
    if parts[0] < 0:
        return None
    found = np.zeros((len(targets), int(targets.max()) + 1))
    quiet = replace(context, progress=Progress())
    for part in context.progress.track(parts, "leaving out", len(parts)):
        own = numbers == part
        others = np.flatnonzero(~own[held.rows])
        if context.late() or not len(others):
            return None
        chosen = choose(plan, held.take(others), boosting)
        members = fit_all(chosen, features[~own], targets[~own], context=quiet)
        for name, member in members.items():
            seen = features[own] if name == "linear" else features[own, : plan.columns]
            found[own] += chosen.weights[name] * member.predict(seen)
    return found


def choose(plan: Plan, held: Held | None, boosting: str | bool) -> Plan:
    """Choose the plan's penalty, rounds and weights on cases held out of training.

    Where too few cases can be held out, the members count equally.
    """
    names = ["linear"] + ["forest"] * (plan.trees > 0) + ["boosted"] * (boosting is True)
    if held is None:
        return replace(plan, weights={name: 1 / len(names) for name in names})
    strength, levels, factor = _simplest(held)
    rounds = min(held.boosted, default=plan.rounds, key=lambda n: losses(held.boosted[n], held.targets).mean())
    rows = np.arange(len(held.targets))
    own = {"linear": sharpen(held.linear[strength, levels], factor)[rows, held.targets]}
    tries = _tries(held)
    if held.forest:
        own["forest"] = held.forest[tries][rows, held.targets]
    without = np.column_stack(list(own.values()))
    weights = weigh(without, held.repeats)
    if held.boosted:
        whole = np.column_stack([without, held.boosted[rounds][rows, held.targets]])
        more = weigh(whole, held.repeats)
        gain = np.log(np.maximum(whole @ more, 1e-6)) - np.log(np.maximum(without @ weights, 1e-6))
        if boosting is True or better(gain, held.repeats):
            own["boosted"], weights = whole[:, -1], more
    return replace(
        plan,
        strength=strength,
        levels=levels,
        factor=factor,
        tries=tries,
        rounds=rounds,
        weights=_heavy(dict(zip(own, weights.tolist(), strict=True)), boosting is True),
    )


def fit_all(plan: Plan, features: Values, targets: Codes, *, context: Context) -> dict[str, Member]:
    """Fit the members that the plan gives a weight."""
    found: dict[str, Member] = {}
    for name in context.progress.track(list(plan.weights), "fitting", len(plan.weights)):
        if name == "linear":
            linear = fit_linear(features, targets, plan.strength, plan.levels, plan.columns)
            found[name] = linear.sharpened(plan.factor)
        elif name == "forest":
            found[name] = Forest.fit(_extra_trees(plan, features, targets, context.seed))
        else:
            model = _boosting(plan.rounds, features[:, : plan.columns], targets, context.seed)
            found[name] = Boosted.fit(model, int(targets.max()) + 1)
    return found


def fit_linear(features: Values, targets: Codes, strength: float, levels: bool, columns: int) -> Linear:
    """Fit the linear member; without ``levels``, the coefficients of the level columns are 0."""
    if levels:
        return Linear.fit(features, targets, strength)
    small = Linear.fit(features[:, :columns], targets, strength)
    coef = np.zeros((len(small.coef), features.shape[1]))
    coef[:, :columns] = small.coef
    return Linear(coef, small.bias)


def threads(cases: int) -> Any:
    """Return a context in which small fits run on one thread.

    OpenMP's threads wait by spinning: beside other busy processes a boosting of 0.06 s has taken 32 s on two
    cores. Only large fits gain from them.
    """
    import sklearn.ensemble  # noqa: F401 - limits reach only libraries that are loaded already
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    return threadpool_limits(1 if cases < LARGE else None)


def boosting_is_readable(features: Values, targets: Codes) -> bool:
    """Say whether our reading of scikit-learn's boosted trees gives scikit-learn's own probabilities.

    Their arrays are private, so that this is asked on a small fit before each use.
    """
    rows = np.random.default_rng(0).permutation(len(targets))[:500]
    small, known = features[rows], np.unique(targets[rows], return_inverse=True)[1]
    if known.max() == 0:
        return False
    try:
        model = _boosting(3, small, known, seed=0)
        ours = Boosted.fit(model, int(known.max()) + 1).predict(small)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return False
    return bool(np.allclose(ours, model.predict_proba(small), rtol=0, atol=1e-9))


def _candidates(
    plan: Plan, features: Values, targets: Codes, train: Codes, rows: Codes, boosting: bool, context: Context
) -> dict[Any, Values]:
    """Fit every candidate on the rows ``train`` and predict ``rows``."""
    found: dict[Any, Values] = {}
    known, x, y = features[train], features[rows], targets[train]
    for levels in (False, True)[: 1 + (features.shape[1] > plan.columns)]:
        for strength in STRENGTHS:
            model = fit_linear(known, y, strength, levels, plan.columns)
            found["linear", strength, levels] = model.predict(x)
    for tries in TRIES[: len(TRIES) * (plan.trees > 0)]:
        forest = _extra_trees(replace(plan, tries=tries), known, y, context.seed)
        found["forest", tries] = forest.predict(x[:, : plan.columns])
    if boosting:
        most = _rounds(int(targets.max()) + 1)
        boosted = _boosting(most, known[:, : plan.columns], y, context.seed)
        for done, chances in enumerate(boosted.staged_predict_proba(x[:, : plan.columns]), start=1):
            if done in (most // 8, most // 4, most // 2, most):
                found["boosted", done] = chances
    return found


def _simplest(held: Held) -> tuple[float, bool, float]:
    """Return the strongest penalty whose loss lies within one standard error of the lowest.

    The one-standard-error rule (Breiman et al., CART, 1984), on paired differences, each candidate with the
    factor on its scores that suits it best: penalty, whether level columns are seen, factor.
    """
    factor = {key: sharpness(values, held.targets, held.repeats) for key, values in held.linear.items()}
    loss = {key: losses(sharpen(values, factor[key]), held.targets) for key, values in held.linear.items()}
    best = min(loss, key=lambda key: loss[key].mean())
    near = [key for key in loss if key[1] == best[1] and not better(loss[key] - loss[best], held.repeats)]
    chosen = min(near, key=lambda key: key[0])
    return (*chosen, factor[chosen])


def _tries(held: Held) -> str | float:
    """Return the usual number of columns to try, unless more lower the loss by over one standard error."""
    usual = TRIES[0]
    loss = {key: losses(values, held.targets) for key, values in held.forest.items()}
    clear = [key for key in loss if better(loss[usual] - loss[key], held.repeats)]
    return min(clear, key=lambda key: loss[key].mean(), default=usual)


def _heavy(weights: dict[str, float], boosting: bool) -> dict[str, float]:
    """Leave out the members that hardly count; boosting stays if it was asked for."""
    kept = {name: weight for name, weight in weights.items() if weight >= LIGHT or (boosting and name == "boosted")}
    return {name: weight / sum(kept.values()) for name, weight in kept.items()}


def _rounds(classes: int) -> int:
    return max(8, min(200, BUDGET // (classes if classes > 2 else 1)))


@dataclass(frozen=True)
class _ExtraTrees:
    """Fitted trees, under the name that scikit-learn's forests have for them."""

    estimators_: list[Any]

    def predict(self, features: Values) -> Values:
        """Return (n, classes): the mean of the trees' shares, summed in their order as scikit-learn does."""
        single = features.astype(np.float32)
        found: Values = sum(tree.predict(single, check_input=False) for tree in self.estimators_)
        return found / len(self.estimators_)


def _extra_trees(plan: Plan, features: Values, targets: Codes, seed: int) -> _ExtraTrees:
    """Fit extra trees that answer with each class's share.

    The squared error of the classes' indicators falls by what Gini's impurity does (Hastie, Tibshirani & Friedman
    2009, section 9.2.3): but for ties, the trees are those of `sklearn.ensemble.ExtraTreesClassifier`, in half the
    time. They are those of its `ExtraTreesRegressor` exactly, which of few cases takes longer to copy trees than to
    grow them.
    """
    from sklearn.tree import ExtraTreeRegressor

    # Beyond 2,000 leaves a tree of a hundred thousand cases only grows on disk.
    leaf = max(plan.leaf, len(targets) // 2000)
    columns = np.ascontiguousarray(features[:, : plan.columns], dtype=np.float32)
    shares = np.eye(int(targets.max()) + 1)[targets]

    def grow(number: int) -> Any:
        tree = ExtraTreeRegressor(min_samples_leaf=leaf, max_features=plan.tries, random_state=number)
        return tree.fit(columns, shares, check_input=False)

    numbers = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=plan.trees).tolist()
    if len(targets) <= SMALL:  # threads cost more than they gain
        return _ExtraTrees([grow(number) for number in numbers])
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return _ExtraTrees(list(pool.map(grow, numbers)))


def _boosting(rounds: int, features: Values, targets: Codes, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    small = len(targets) < SMALL
    model = HistGradientBoostingClassifier(
        learning_rate=0.05 if small else 0.1,
        max_iter=rounds,
        max_leaf_nodes=8 if small else 31,
        min_samples_leaf=10 if small else 20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(features, targets)
