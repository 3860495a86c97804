"""The formats that are read, one module each; ``registry`` lists them."""
