"""SAML 2.0 web single sign-on: messages, their verification, and log-in and log-out with an identity provider."""
