"""Molecular activity in a pipeline: train once, save, then score molecules from memory, bad ones among them."""

import tempfile
from pathlib import Path

import pandas as pd
from rdkit import RDConfig

import medtasks

folder = Path(RDConfig.RDContribDir, "FreeWilson", "data")
structures = pd.read_csv(folder / "CHEMBL2321810.smi", sep=" ", names=["smiles", "name"])
measured = pd.read_csv(folder / "CHEMBL2321810_act.csv")
table = structures.merge(measured, left_on="name", right_on="Name")[["name", "smiles", "Act"]]

# The settings make the default model quick for an example; leave them out to get its best.
quick = {"folds": 3, "graph_steps": 200}
result = medtasks.run("activity", table, target="Act", config=quick, out=Path(tempfile.mkdtemp()) / "activity")
print("RMSE", result.evaluation.metrics["rmse"], "baseline", result.baseline.metrics["rmse"])
print("report:", result.report)

predictor = medtasks.load(result.bundle)
scores = medtasks.predict(predictor, ["CCO", "no molecule", "O=S(=O)(Nc1ncns1)c1ccc(Oc2ccccc2)c(C#N)c1"])
print(scores[["id", "status", "error", "Act"]])

for explanation in medtasks.explain(predictor, ["O=S(=O)(Nc1ncns1)c1ccc(Oc2ccccc2)c(C#N)c1"]):
    print("atoms that raise the prediction:", (explanation.values[0] > 0.05).nonzero()[0].tolist())
