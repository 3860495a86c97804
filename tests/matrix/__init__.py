"""Each real image against an independent computation of what it should look like."""
