"""SMART App Launch and Backend Services: tokens for apps and servers, each narrower than what the View opens."""
