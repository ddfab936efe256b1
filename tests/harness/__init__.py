"""What all tests that talk to a running server share: resp.py (a raw client), server.py (starting and stopping)."""
