"""Wire formats: strict CBOR, COSE, claims, credential, QR, profiles, pages, PDF."""
