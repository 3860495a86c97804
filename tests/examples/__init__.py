"""What lies in examples/ is what its pages say."""
