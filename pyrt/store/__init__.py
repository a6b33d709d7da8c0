"""What is kept: blobs, images, layers, containers. The only writer below the data root."""
