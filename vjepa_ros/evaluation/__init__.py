"""Closed-loop trials in the simulation: how often does the planner do what the pictures ask?"""
