"""A module for each library that is compared, and what it is given: a job, or an operation.

Imports nothing: MXNet's Python, where fastcnn isn't installed, comes through here, too.
"""
