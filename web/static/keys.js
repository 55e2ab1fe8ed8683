// Where this page is, for the example: the browser knows, while the Host header of a request may say anything.
for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;
