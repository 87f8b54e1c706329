"""OFD files (GB/T 33190): writing them from a page description, sealing them, reading and checking them."""
