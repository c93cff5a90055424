"""Exchange between archives: sending to known destinations, asking them, forwarding."""
