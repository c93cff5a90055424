"""Settled series: one immutable file each, instances back to back as received, with a manifest behind them."""
