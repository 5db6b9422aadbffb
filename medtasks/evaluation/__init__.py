"""Splitting data and judging answers: what every task shares."""
