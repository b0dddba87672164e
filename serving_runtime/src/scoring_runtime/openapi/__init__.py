"""The OpenAPI document of the model that is served. `document` is where to begin."""
