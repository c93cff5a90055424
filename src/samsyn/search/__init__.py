"""Finding: every function takes a View, and only what the View shows is found, counted and named."""
