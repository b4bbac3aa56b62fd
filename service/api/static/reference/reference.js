// The reference of the HTTP API. Scalar, a library, renders the OpenAPI document of this server.

import { keepAccessible } from "./accessible.js";
import { apiKey, request } from "./api.js";

// Code samples are in curl, Python (requests, httpx) and JavaScript (fetch). Scalar wants the list of all others.
const HIDDEN_LANGUAGES = ["c", "clojure", "csharp", "dart", "fsharp", "go", "http", "java", "kotlin", "objc", "ocaml", "php", "powershell", "r", "ruby", "rust", "swift"];
const HIDDEN_CLIENTS = { shell: ["httpie", "wget"], python: ["python3", "aiohttp", "httpx_async"], js: ["axios", "jquery", "ofetch", "xhr"], node: ["axios", "ofetch", "undici"] };

const response = await request("openapi.json");
const content = await response.json();
const key = apiKey();
globalThis.Scalar.createApiReference("#reference", {
  content,
  hiddenClients: { ...Object.fromEntries(HIDDEN_LANGUAGES.map((language) => [language, true])), ...HIDDEN_CLIENTS },
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
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
