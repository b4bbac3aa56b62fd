"""Numerical experiments on the paper's theory, with densities whose formulas are known."""
