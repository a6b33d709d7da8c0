"""Values of the OCI image, distribution and runtime specifications; pure, without input or output."""
