"""The one way in for images: `receive`."""
