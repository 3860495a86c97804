"""HTTP: routes, middlewares, and one module per family of endpoints."""
