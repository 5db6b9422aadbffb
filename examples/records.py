"""A diagnosis from laboratory values, from training to new patients."""

import pandas as pd
from sklearn.datasets import load_breast_cancer

import medtasks

data = load_breast_cancer()
table = pd.DataFrame(data.data, columns=data.feature_names)
table["diagnosis"] = pd.Series(data.target).map({0: "malignant", 1: "benign"})

known, new = table.iloc[:500], table.iloc[500:].drop(columns="diagnosis")
result = medtasks.run("diagnosis", known, target="diagnosis", out="medtasks-runs/example-records")
print("AUROC", result.evaluation.metrics["auroc"], "baseline", result.baseline.metrics["auroc"])
print("report:", result.report)

answers = medtasks.predict(result.bundle, new)
print(answers[["id", "status", "prediction", "probability"]].head())

for explanation in medtasks.explain(result.bundle, new.head(1)):
    values = pd.Series(explanation.values[0], index=explanation.parts)
    order = values.abs().sort_values(ascending=False).index[:3]
    print("speaks for", explanation.target, values[order].round(3).to_dict())
