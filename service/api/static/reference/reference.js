// The reference of the HTTP API. Scalar, a library, renders the OpenAPI document of this server.

import { keepAccessible } from "./accessible.js";
import { apiKey, request } from "./api.js";

/** Returns the OpenAPI document. Its code samples name the URL of this server as the browser sees the server. */
async function openDocument() {
  const response = await request("openapi.json");
  const content = await response.json();
  const base = new URL(".", location.href).href.replace(/\/$/, "");
  const prefix = content.servers[0].url.replace(/\/$/, "");
  for (const operation of Object.values(content.paths).flatMap(Object.values)) {
    for (const sample of operation["x-codeSamples"] ?? []) {
      sample.source = sample.source.replace(/http:\/\/localhost:\d+(\/[^\s'"]*)?/g, (_, path = "") => base + path.slice(prefix.length));
    }
  }
  return content;
}

const content = await openDocument();
const key = apiKey();
globalThis.Scalar.createApiReference("#reference", {
  content,
  // The document has a sample of each operation in curl, Python and JavaScript, which runs as it is.
  hiddenClients: true,
  ...(key ? { authentication: { preferredSecurityScheme: "bearer", securitySchemes: { bearer: { token: key } } } } : {}),
  // The page loads nothing from other hosts.
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
});
keepAccessible();
