"""Is ``/echo`` a WebSocket server to the letter? ``python -m tests.conformance`` finds out."""
