"""Tables of a customer: reading, types of columns, and the encoding for the networks."""
