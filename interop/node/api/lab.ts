// The tenant's administrator, who does at Microsoft what Gatehouse asks for;
// and the lab's control port.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

interface Ready {
  url: string;
  control_url: string;
  tenants: {
    id: string;
    domain: string;
    users: { upn: string; password: string | null }[];
    apps: { client_id: string; name: string; purpose: string; secret: string | null }[];
  }[];
}

const ready = JSON.parse(readFileSync(process.env.GATEHOUSE_LAB!, "utf8")) as Ready;

export const tenant = ready.tenants.find((t) => t.domain === "defaultshield.onmicrosoft.com")!;

export function user(name: string): { upn: string; password: string } {
  const found = tenant.users.find((u) => u.upn.startsWith(`${name}@`));
  assert(found?.password);
  return { upn: found.upn, password: found.password };
}

export function app(purpose: string): { client_id: string; secret: string | null } {
  const found = tenant.apps.find((a) => a.purpose === purpose);
  assert(found);
  return found;
}

async function ask(url: string, init?: RequestInit): Promise<any> {
  const response = await fetch(url, init);
  assert(response.ok, `${url} answered ${response.status}`);
  return response.status === 204 ? undefined : response.json();
}

// uploadCertificate adds a certificate to an app registration.
export async function uploadCertificate(clientId: string, pem: string): Promise<void> {
  const admin = app("admin");
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: admin.client_id, client_secret: admin.secret!, scope: "https://graph.microsoft.com/.default" });
  const token = await ask(`${ready.url}/${tenant.id}/oauth2/v2.0/token`, { method: "POST", body: form });
  const headers = { Authorization: `Bearer ${token.access_token}`, "Content-Type": "application/json" };
  const address = `${ready.url}/v1.0/applications(appId='${clientId}')`;
  const registered = await ask(address, { headers });
  const kept = registered.keyCredentials.map((k: { keyId: string }) => ({ keyId: k.keyId }));
  const added = { type: "AsymmetricX509Cert", usage: "Verify", key: new X509Certificate(pem).raw.toString("base64") };
  await ask(address, { method: "PATCH", headers, body: JSON.stringify({ keyCredentials: [...kept, added] }) });
}

// outOfOrder lets the sign-in service answer 503 for as long as something lasts.
export async function outOfOrder<T>(during: () => Promise<T>): Promise<T> {
  const { id } = await ask(`${ready.control_url}/faults`, { method: "POST", body: JSON.stringify({ kind: "status", status: 503, service: "login" }) });
  try {
    return await during();
  } finally {
    await fetch(`${ready.control_url}/faults/${id}`, { method: "DELETE" });
  }
}
