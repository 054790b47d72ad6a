"""From files to results: read a cine, segment it, measure it, look for signs of trouble, write everything."""
