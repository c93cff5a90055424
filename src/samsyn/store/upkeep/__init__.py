"""What is done to the store in the background or while the service is stopped: scrub, settling, giving back space."""
