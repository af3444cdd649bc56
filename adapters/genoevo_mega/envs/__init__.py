"""Suites, tasks, and their rollouts. No torch: spawned workers import it."""
