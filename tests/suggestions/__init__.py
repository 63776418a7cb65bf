"""Tests of the suggestions."""
