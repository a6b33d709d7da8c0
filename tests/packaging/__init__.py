"""The distribution, the doors for developers, and the rules that the source keeps."""
