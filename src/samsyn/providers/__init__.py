"""Connected providers: which systems are known, and which directions are switched on for each."""
