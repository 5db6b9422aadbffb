import itertools

import numpy as np
import pandas as pd
import pytest
from target_affinity.drawn import Pockets
from target_affinity.measures import concordance
from target_affinity.proteins import families, similarity
from target_affinity.task import TargetAffinity

import medtasks
from medtasks.errors import DataError
from medtasks.evaluation.splits import Plan
from medtasks.model import Context

TASK = TargetAffinity()
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


def by_hand(truth, said, weights, within):
    right = total = 0.0
    for i, j in itertools.permutations(range(len(truth)), 2):
        if truth[i] > truth[j] and within[i] == within[j]:
            total += weights[i] * weights[j]
            right += weights[i] * weights[j] * (0.5 if said[i] == said[j] else float(said[i] > said[j]))
    return right / total


@pytest.mark.parametrize("proteins", [1, 3])
def test_concordance_is_what_its_definition_says(proteins):
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 6, 40).astype(float), rng.integers(0, 6, 40).astype(float)
    weights, within = rng.integers(0, 4, (5, 40)).astype(float), rng.integers(0, proteins, 40)
    found = concordance(truth, said, weights, None if proteins == 1 else within)
    assert found == pytest.approx([by_hand(truth, said, row, within) for row in weights])


def test_concordance_is_undefined_where_all_is_equal():
    assert np.isnan(concordance(np.ones(4), np.arange(4.0), np.ones((2, 4)))).all()


def test_similar_proteins_are_one_family():
    mutant = SEQUENCE[:20] + "W" + SEQUENCE[21:]
    other = "GSHMDDEEPLLNNTTWWCCGGAAVVPPKRKRKRKR"
    assert similarity([SEQUENCE], [SEQUENCE, other]).toarray().tolist() == [[1.0, 0.0]]
    one, same, apart = families([SEQUENCE, mutant, other], 0.2)
    assert one == same != apart


def data(cold):
    options = TASK.Options(cold=cold)
    return TASK.adapt(Pockets().load(None, cache=None, seed=1), options), options


@pytest.mark.parametrize(("cold", "families"), [("target", 25), ("drug", None)])
@pytest.mark.parametrize("folds", [1, 4])
def test_what_is_cold_is_new_in_every_part(cold, families, folds):
    found, options = data(cold)
    assert families in (None, len(set(found.groups)))
    _, which, _, codes = found.cases.distinct()
    units = codes if cold == "target" else which
    for fold in TASK.split(found, Plan(folds=folds), options, seed=0):
        parts = [set(units[rows]) for rows in (fold.train, fold.valid, fold.test)]
        assert all(parts)
        assert not any(one & other for one, other in itertools.combinations(parts, 2))


def test_a_split_by_pairs_is_told_to_flatter():
    assert "will do worse" in data("pair")[0].origin.notes[0]


def table(n=6):
    return pd.DataFrame({"smiles": ["CCO"] * n, "sequence": [SEQUENCE] * n, "affinity": [10.0] * n}, dtype=object)


def test_a_concentration_becomes_pkd_and_bad_rows_are_told():
    rows = table()
    rows.loc[1, "affinity"], rows.loc[2, "affinity"], rows.loc[3, "affinity"] = ">10000", None, 0
    rows.loc[4, "sequence"], rows.loc[5, "smiles"] = "MKT AYIAKQRQI", "C1"
    found = TASK.read(rows, TASK.Options(unit="nM"), context=Context())
    assert found.targets.tolist() == [[8.0]]
    assert [name for name, _ in found.origin.invalid] == ["2", "3", "4", "5", "6"]
    reasons = " | ".join(reason for _, reason in found.origin.invalid)
    assert "bounds are not read" in reasons
    assert "no amino acid" in reasons
    assert "AYIAKQ" not in reasons


def test_an_own_split_that_leaks_is_refused():
    rows = table(40)
    rows["split"] = ["train", "valid", "test", "test"] * 10
    found = TASK.adapt(TASK.read(rows, TASK.Options(), context=Context()), TASK.Options())
    with pytest.raises(DataError, match="stand in both"):
        TASK.split(found, Plan(), TASK.Options(), seed=0)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="'kd'"):
        TASK.read(table(), TASK.Options(affinity="kd"), context=Context())


def test_the_products_find_what_the_sum_cannot(tmp_path):
    found = medtasks.run("target-affinity", out=tmp_path / "run", folds=3)
    ours, base = found.evaluation.metrics, found.baseline.metrics
    assert ours["concordance_within_protein"].low > 0.5
    assert ours["rmse"].high < base["rmse"].low
    answers = medtasks.predict(found.bundle, table(2))
    assert answers["status"].tolist() == ["ok", "ok"]
    assert (answers["low_pKd"] < answers["pKd"]).all()
    report = found.report.read_text(encoding="utf-8")
    assert "How new the proteins are" in report
    assert SEQUENCE not in report
