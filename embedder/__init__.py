"""Photo -> vector. Knows no SQL, no Flask, no Qdrant."""
