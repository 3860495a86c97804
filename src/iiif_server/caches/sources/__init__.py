"""Sources that were fetched from elsewhere: kept for a while, within a budget, and lent as local files."""
