"""The demo: a sample catalog that is drawn by code, its photos, and the page that shows the answers."""
