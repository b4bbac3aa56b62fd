"""The paper's theory, run on densities with known formulas: its claims in numbers and pictures."""
