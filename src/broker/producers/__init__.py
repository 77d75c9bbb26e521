"""Producers: what runs beside a job and writes its output, its status and its diff to Redis.
Commands in `runner`, writing in `writer`, worktrees in `diff`.
"""
