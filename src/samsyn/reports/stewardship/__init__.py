"""The steward's work: held objects, differences, wrong links, wrong patients, texts and images that miss each other."""
