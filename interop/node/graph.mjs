// Reads from the lab with @microsoft/microsoft-graph-client, unmodified: paging
// to the end, a batch, and a throttled call that the client repeats by itself.
// graph_client_test.go runs it and compares what it prints.
//
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem node graph.mjs

import { ClientSecretCredential } from "@azure/identity";
import { BatchRequestContent, BatchResponseContent, Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { TokenCredentialAuthenticationProvider } from "@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js";
import { readFileSync } from "node:fs";

const lab = JSON.parse(readFileSync(process.env.GATEHOUSE_LAB, "utf8"));
const tenant = lab.tenants.find((t) => t.domain === "openharbour.onmicrosoft.com");
const app = tenant.apps.find((a) => a.name === "Gatehouse reader");
const credential = new ClientSecretCredential(tenant.id, app.client_id, app.secret, { authorityHost: lab.url, disableInstanceDiscovery: true });
const client = Client.initWithMiddleware({
  baseUrl: lab.url,
  customHosts: new Set([new URL(lab.url).hostname]),
  authProvider: new TokenCredentialAuthenticationProvider(credential, { scopes: ["https://graph.microsoft.com/.default"] }),
});
const print = (name, value) => console.log(JSON.stringify({ name, value }));

// Every user, page by page.
const users = [];
const first = await client.api("/users").top(1).select("id,userPrincipalName").get();
await new PageIterator(client, first, (user) => users.push(user.userPrincipalName) > 0).iterate();
print("pages", users.sort());

// Three calls in one, one of which is refused.
const batch = new BatchRequestContent([
  { id: "1", request: new Request("https://graph.microsoft.com/organization", { method: "GET" }) },
  { id: "2", request: new Request("https://graph.microsoft.com/users/nobody@openharbour.example", { method: "GET" }) },
  { id: "3", request: new Request(`https://graph.microsoft.com/users/${users[0]}`, { method: "GET" }) },
]);
const answers = new BatchResponseContent(await client.api("/$batch").post(await batch.getContent()));
print("batch", ["1", "2", "3"].map((id) => answers.getResponseById(id).status));

// The lab throttles the next call once; the client waits and repeats it.
await fetch(`${lab.control_url}/faults`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ kind: "status", status: 429, retry_after: "1", service: "graph", path: "/v1.0/organization", times: 1 }),
});
const organization = await client.api("/organization").get();
print("retry", organization.value[0].id === tenant.id);

// A refusal keeps Graph's code and request id.
try {
  await client.api("/users/nobody@openharbour.example").get();
} catch (error) {
  print("refusal", [error.statusCode, error.code, error.requestId !== null]);
}
