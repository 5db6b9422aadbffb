"""Tasks for medicine: diagnosis, treatment recommendation, molecular activity; models are plugins."""
