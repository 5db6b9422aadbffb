"""Which of two treatments, for whom: a simulated trial in which the answer is known."""

import numpy as np
import pandas as pd

import medtasks

rng = np.random.default_rng(0)
n = 1200
trial = pd.DataFrame(
    {"age": rng.integers(30, 85, n), "crp": rng.gamma(2.0, 8.0, n).round(1), "smoker": rng.choice(["yes", "no"], n)}
)
trial["treatment"] = rng.choice(["standard", "new"], n)
helps = (trial["crp"] > 15) * 6.0 - 2.0  # the new one helps the inflamed and harms the others
trial["outcome"] = 50 - 0.2 * trial["age"] + np.where(trial["treatment"] == "new", helps, 0) + rng.normal(0, 4, n)

result = medtasks.run("treatment", trial, randomised=True, out="medtasks-runs/example-treatments")
print("gain over the best arm for everybody", result.evaluation.metrics["gain_over_best_arm"])
print("report:", result.report)

new = pd.DataFrame({"age": [60, 60], "crp": [40.0, 2.0], "smoker": ["no", "no"]})
answers = medtasks.predict(result.bundle, new)
print(answers[["decision", "recommended", "benefit", "benefit_low", "benefit_high", "reason"]].T)
