"""National security services over SOAP (RIV-TA Basic Profile 2.1), read into local copies that outlive an outage."""
