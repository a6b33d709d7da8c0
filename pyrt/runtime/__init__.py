"""From an image and a request to a running process: Spec, then Plan, then C."""
