// The reference page: Swagger UI, on the description that this host serves. Nothing leaves this host: no validator.
"use strict";

// A field that was left empty is not sent: Swagger UI would send "" for each.
const withoutEmptyFields = (request) => {
  if (request.body instanceof FormData) {
    const filled = new FormData();
    for (const [name, value] of request.body.entries()) {
      if (value !== "") {
        filled.append(name, value);
      }
    }
    request.body = filled;
  }
  return request;
};

window.addEventListener("DOMContentLoaded", () => {
  window.SwaggerUIBundle({
    url: document.getElementById("reference").dataset.description,
    dom_id: "#reference",
    deepLinking: true,
    defaultModelExpandDepth: 2,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    persistAuthorization: false,
    requestInterceptor: withoutEmptyFields,
    requestSnippetsEnabled: false,
    showExtensions: false,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
});
