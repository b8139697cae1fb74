// Begins an authorization for the client and the scopes that the address names.
// iss and launch are read from it by the library.
const asked = new URLSearchParams(location.search);

FHIR.oauth2.authorize({
  clientId: asked.get("client"),
  scope: asked.get("scope"),
  redirectUri: `${location.origin}/index.html`,
  pkceMode: "required",
}).catch((error) => {
  document.getElementById("failed").textContent = `failed: ${error.message}`;
});
