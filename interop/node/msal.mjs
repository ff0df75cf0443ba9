// Signs in to the lab with @azure/msal-node and @azure/identity, unmodified,
// reads from Graph with what they got, and prints one JSON line for each case.
// node_test.go runs it and compares the lines.
//
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem node msal.mjs loopback
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem HTTPS_PROXY=http://… node msal.mjs proxy
//
// "loopback" goes to the lab's address, which the clients are told to trust;
// "proxy" goes to Microsoft's host names, which the lab's proxy leads to it.

import { ClientCertificateCredential, ClientSecretCredential } from "@azure/identity";
import { ConfidentialClientApplication, InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-node";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { EnvHttpProxyAgent, setGlobalDispatcher } from "undici";

const way = process.argv[2];
if (way !== "loopback" && way !== "proxy") {
  throw new Error("usage: node msal.mjs loopback|proxy");
}
const lab = JSON.parse(readFileSync(process.env.GATEHOUSE_LAB, "utf8"));
const loopback = way === "loopback";
const login = loopback ? lab.url : "https://login.microsoftonline.com";
const graph = loopback ? lab.url : "https://graph.microsoft.com";
const scopes = ["https://graph.microsoft.com/.default"];
const commandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e";
if (!loopback) {
  // Node 20's own fetch, which msal-node uses, does not look at HTTPS_PROXY.
  setGlobalDispatcher(new EnvHttpProxyAgent());
}

// Whatever goes through fetch is noted and passed on as it is.
let sent = [];
const passOn = globalThis.fetch;
globalThis.fetch = (url, options) => {
  sent.push({ url: new URL(url), form: new URLSearchParams(options?.body ?? "") });
  return passOn(url, options);
};

const tenant = (name) => lab.tenants.find((t) => t.domain === `${name}.onmicrosoft.com`);
const user = (t, name) => t.users.find((u) => u.upn.startsWith(`${name}@`));
const app = (t, name) => t.apps.find((a) => a.name === name);

const open = tenant("openharbour");
const shield = tenant("defaultshield");
const backup = app(open, "Backup app");
const pem = readFileSync(backup.certificate_file, "utf8");
const certificate = new X509Certificate(pem);
const privateKey = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/.exec(pem)[0];
const hex = (fingerprint) => fingerprint.replaceAll(":", "");

const auth = (t, clientId, credential) => ({
  auth: { clientId, authority: `${login}/${t.id}`, knownAuthorities: loopback ? [new URL(login).host] : [], ...credential },
});
const asApp = (credential) =>
  new ConfidentialClientApplication(auth(open, backup.client_id, credential)).acquireTokenByClientCredential({ scopes });
const asUser = (t, name) =>
  new PublicClientApplication(auth(t, commandLineTools)).acquireTokenByUsernamePassword({
    scopes,
    username: user(t, name).upn,
    password: user(t, name).password,
  });

async function read(path, token) {
  const response = await passOn(graph + path, { headers: { authorization: `Bearer ${token}` } });
  const body = await response.json();
  return { status: response.status, id: body.id ?? body.value?.[0]?.id ?? null };
}

async function attempt(name, path, signIn) {
  sent = [];
  const line = { name };
  try {
    const result = await signIn();
    line.graph = await read(path, result.accessToken ?? result.token);
    line.account = result.account?.homeAccountId;
  } catch (error) {
    line.error = {
      name: error.name,
      interaction: error instanceof InteractionRequiredAuthError,
      code: error.errorCode,
      number: error.errorNo,
      suberror: error.subError,
      correlation: error.correlationId,
      message: error.message,
    };
  }
  const request = sent.find((s) => s.url.pathname.endsWith("/oauth2/v2.0/token"));
  if (request) {
    line.host = request.url.host;
    line.requests = sent.length;
    line.correlation = request.form.get("client-request-id");
    const assertion = request.form.get("client_assertion");
    if (assertion) {
      line.header = JSON.parse(Buffer.from(assertion.split(".")[0], "base64url"));
    }
  }
  console.log(JSON.stringify(line));
}

await attempt("secret", "/v1.0/organization", () => asApp({ clientSecret: backup.secret }));
await attempt("wrong secret", "/v1.0/organization", () => asApp({ clientSecret: "wrong" }));
await attempt("certificate", "/v1.0/organization", () =>
  asApp({ clientCertificate: { thumbprintSha256: hex(certificate.fingerprint256), privateKey } }),
);
await attempt("certificate, older form", "/v1.0/organization", () =>
  asApp({ clientCertificate: { thumbprint: hex(certificate.fingerprint), privateKey } }),
);
await attempt("password", "/v1.0/me", () => asUser(open, "svc-backup"));
await attempt("password refused", "/v1.0/me", () => asUser(shield, "svc-connection"));
await attempt("identity secret", "/v1.0/organization", () =>
  new ClientSecretCredential(open.id, backup.client_id, backup.secret, {
    authorityHost: login,
    disableInstanceDiscovery: loopback,
  }).getToken(scopes),
);
await attempt("identity certificate", "/v1.0/organization", () =>
  new ClientCertificateCredential(open.id, backup.client_id, { certificatePath: backup.certificate_file }, {
    authorityHost: login,
    disableInstanceDiscovery: loopback,
  }).getToken(scopes),
);
