"""Everything around the product: simulators, demo, benchmarks, generators. Nothing imports this package."""
