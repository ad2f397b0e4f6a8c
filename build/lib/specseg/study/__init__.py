"""Records or printed tables in, tidy tables and findings out: one question of a chapter a module.

Draws nothing and knows no page.
"""
