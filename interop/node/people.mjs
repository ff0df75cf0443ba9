// Signs people in to the lab with @azure/msal-node and @azure/identity,
// unmodified. It plays one app, prints a JSON line for each thing that a person
// has to open and for each thing that came of it, and ends.
// people_test.go reads the lines and sits before the browser.
//
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem node people.mjs interactive|web|device|browser-credential|device-credential
//
// With HTTPS_PROXY it goes to Microsoft's host names, which the lab's proxy
// leads to it.

import { DeviceCodeCredential, InteractiveBrowserCredential } from "@azure/identity";
import { ConfidentialClientApplication, CryptoProvider, PublicClientApplication } from "@azure/msal-node";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { EnvHttpProxyAgent, setGlobalDispatcher } from "undici";

const lab = JSON.parse(readFileSync(process.env.GATEHOUSE_LAB, "utf8"));
const tenantOf = (name) => lab.tenants.find((t) => t.domain === `${name}.onmicrosoft.com`);
const commandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e";
const scopes = ["User.Read"];
const login = process.env.HTTPS_PROXY ? "https://login.microsoftonline.com" : lab.url;
if (process.env.HTTPS_PROXY) {
  // Node 20's own fetch, which msal-node uses, does not look at it.
  setGlobalDispatcher(new EnvHttpProxyAgent());
}
const print = (line) => console.log(JSON.stringify(line));

const app = (tenant, clientId, credential) => ({
  auth: { clientId, authority: `${login}/${tenant.id}`, knownAuthorities: [new URL(login).host], ...credential },
});
const result = (name, { accessToken, account, fromCache, scopes: granted }) =>
  print({ name, token: accessToken, account: account.username, from_cache: fromCache, scopes: granted });
const refusal = (name, { name: kind, errorCode, message }) => print({ name, error: { kind, code: errorCode, message } });

// A desktop app: listens for the answer by itself.
async function interactive() {
  const client = new PublicClientApplication(app(tenantOf("callercove"), commandLineTools));
  const openBrowser = async (open) => print({ open });
  const first = await client.acquireTokenInteractive({ scopes, openBrowser });
  result("signed in", first);
  result("cached", await client.acquireTokenSilent({ scopes, account: first.account }));
  result("refreshed", await client.acquireTokenSilent({ scopes, account: first.account, forceRefresh: true }));
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';
  result("claims", await client.acquireTokenInteractive({ scopes, openBrowser, claims, loginHint: first.account.username }));
  try {
    await client.acquireTokenInteractive({ scopes: ["User.ReadBasic.All"], openBrowser, loginHint: first.account.username });
  } catch (error) {
    refusal("declined", error);
  }
}

// A web app: the browser comes back to its own address.
async function web() {
  const tenant = tenantOf("willowworks");
  const portal = tenant.apps.find((a) => a.name === "Willow portal");
  const client = new ConfidentialClientApplication(app(tenant, portal.client_id, { clientSecret: portal.secret }));
  let arrived;
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end('<!doctype html><html lang="en"><title>Portal</title><body data-app="returned"><h1>Portal</h1></body></html>');
    if (url.pathname === "/") {
      arrived(Object.fromEntries(url.searchParams));
    }
  });
  await new Promise((ready) => server.listen(0, "localhost", ready));
  const redirectUri = `http://localhost:${server.address().port}`;
  const visit = (open) => {
    const back = new Promise((resolve) => (arrived = resolve));
    print({ open, redirect: redirectUri });
    return back;
  };
  const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
  const authorize = () =>
    client.getAuthCodeUrl({ scopes, redirectUri, codeChallenge: challenge, codeChallengeMethod: "S256", state: "kept" });

  print({ name: "refused", query: await visit(await authorize()) });
  const consent = new URLSearchParams({ client_id: portal.client_id, redirect_uri: redirectUri, scope: "https://graph.microsoft.com/.default", state: "kept" });
  print({ name: "declined", query: await visit(`${login}/${tenant.id}/v2.0/adminconsent?${consent}`) });
  print({ name: "consented", query: await visit(`${login}/${tenant.id}/v2.0/adminconsent?${consent}`) });
  const query = await visit(await authorize());
  const signedIn = await client.acquireTokenByCode({ scopes, redirectUri, code: query.code, codeVerifier: verifier, state: "kept" }, { state: query.state, code: query.code });
  result("signed in", signedIn);
  result("refreshed", await client.acquireTokenSilent({ scopes, account: signedIn.account, forceRefresh: true }));
  const own = await client.acquireTokenByClientCredential({ scopes: ["https://graph.microsoft.com/.default"] });
  print({ name: "as itself", token: own.accessToken });
  server.close();
  server.closeAllConnections();
}

// A device without a browser.
async function device() {
  const client = new PublicClientApplication(app(tenantOf("callercove"), commandLineTools));
  const deviceCodeCallback = (d) => print({ open: d.verificationUri, code: d.userCode });
  result("signed in", await client.acquireTokenByDeviceCode({ scopes, deviceCodeCallback }));
}

const options = {
  tenantId: tenantOf("callercove").id,
  clientId: commandLineTools,
  authorityHost: login,
  disableInstanceDiscovery: login === lab.url,
};

// @azure/identity opens the system's browser by itself.
async function browserCredential() {
  const credential = new InteractiveBrowserCredential({ ...options, redirectUri: "http://localhost" });
  const { token } = await credential.getToken(scopes);
  print({ name: "signed in", token });
  print({ name: "again", token: (await credential.getToken(scopes)).token });
}

async function deviceCredential() {
  const userPromptCallback = (d) => print({ open: d.verificationUri, code: d.userCode });
  const { token } = await new DeviceCodeCredential({ ...options, userPromptCallback }).getToken(scopes);
  print({ name: "signed in", token });
}

const apps = { interactive, web, device, "browser-credential": browserCredential, "device-credential": deviceCredential };
await apps[process.argv[2]]();
