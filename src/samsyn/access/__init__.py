"""Who may see what: the law as rules, the registers they rest on, login, and the View that every read takes."""
