"""From files to results: read a cine, segment it, measure it, check its quality, write everything."""
