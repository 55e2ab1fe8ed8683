"""The product catalog: SKUs, their reference photos and the gallery. Independent of Flask."""
