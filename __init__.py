"""probewise: decide what to make, measure and compute next, and what it is worth."""
