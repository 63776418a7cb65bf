"""Servers that offer suggestions to other programs."""
