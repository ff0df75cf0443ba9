// Reads from the lab with @microsoft/microsoft-graph-client and with the pipeline of
// the Azure SDKs, unmodified, and the credential of docs/tokens.md, which
// tokens_test.go puts beside this file.
//
//   GATEHOUSE_URL=https://localhost:8443 GATEHOUSE_KEY=ghk_… GATEHOUSE_CONNECTION=… UNSIGNED=…
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem node graph.mjs

import { bearerTokenAuthenticationPolicy, createDefaultHttpClient, createEmptyPipeline, createPipelineRequest } from "@azure/core-rest-pipeline";
import { Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { TokenCredentialAuthenticationProvider } from "@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js";
import { readFileSync } from "node:fs";
import { credential } from "./credential.mjs";

const lab = JSON.parse(readFileSync(process.env.GATEHOUSE_LAB, "utf8"));
const scopes = ["https://graph.microsoft.com/.default"];
const client = Client.initWithMiddleware({
  baseUrl: lab.url,
  customHosts: new Set([new URL(lab.url).hostname]),
  authProvider: new TokenCredentialAuthenticationProvider(credential, { scopes }),
});

const organization = (await client.api("/organization").get()).value[0].id;
const users = [];
const first = await client.api("/users").top(1).select("userPrincipalName").get();
await new PageIterator(client, first, (user) => users.push(user.userPrincipalName) > 0).iterate();

// The policy that authenticates the requests of every Azure SDK.
const pipeline = createEmptyPipeline();
pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes }));
const azure = (await pipeline.sendRequest(createDefaultHttpClient(), createPipelineRequest({ url: `${lab.url}/v1.0/organization` }))).status;

const lasts = (await credential.getToken(scopes)).expiresOnTimestamp - Date.now(); // milliseconds

// The connection of somebody who has not signed in, a service that a connection is
// not for, and a key that is none.
const refused = async (scope) => credential.getToken(scope).then(() => "a token", (error) => error.cause);
process.env.GATEHOUSE_CONNECTION = process.env.UNSIGNED;
const unsigned = await client.api("/organization").get().then(() => "", (error) => error.message);
const state = (await refused(scopes)).state;
const elsewhere = (await refused("https://vault.azure.net/.default")).type;
process.env.GATEHOUSE_KEY = "ghk_wrong";
const stranger = (await refused(scopes)).type;
console.log(JSON.stringify({ organization, users, azure, lasts, unsigned, state, elsewhere, stranger }));
