"""Vector + facts -> product: the catalog of SKUs, their reference photos and the gallery. Knows no Flask."""
