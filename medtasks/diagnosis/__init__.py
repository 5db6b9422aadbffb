"""Diagnosis: which of several classes (healthy, ill with what) a case belongs to."""
