"""National service contracts that Samsyn answers (RIV-TA Basic Profile 2.1): GetImagingOutcome 1.0."""
