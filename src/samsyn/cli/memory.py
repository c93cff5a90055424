"""How the serving process keeps its memory."""

import gc


def keep_what_has_started() -> None:
    """Takes all that the start has made (programs, settings, routes: some hundred thousand objects that live as long as
    the process) out of what Python searches for unused circles. Each whole search stops the process, so that it costs
    the requests of that moment 0.1 s and more, for nothing."""
    gc.collect()
    gc.freeze()
