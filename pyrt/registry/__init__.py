"""Where images come from: registries, layouts, archives. The only importer of httpx."""
