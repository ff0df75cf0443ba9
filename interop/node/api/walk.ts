// Walks the main path of the REST API with openapi-fetch and types that
// openapi-typescript made from the server's own document (gatehouse.ts).
// openapi_test.go makes them, compiles this and runs it.
//
//   GATEHOUSE_URL=https://localhost:8443 GATEHOUSE_LINK=https://…/setup/…
//   GATEHOUSE_LAB=ready.json NODE_EXTRA_CA_CERTS=ca.pem node walk.js

import createClient from "openapi-fetch";
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import type { components, paths } from "./gatehouse.js";
import { app, outOfOrder, tenant, uploadCertificate, user } from "./lab.js";

type Problem = components["schemas"]["Problem"];
type Connection = components["schemas"]["Connection"];

const email = "ada@contoso.example";
const password = "correct horse battery staple";

const api = createClient<paths>({ baseUrl: process.env.GATEHOUSE_URL! });
let token = "";
api.use({
  onRequest({ request }) {
    if (token !== "") {
      request.headers.set("Authorization", `Bearer ${token}`);
    }
  },
});

// good gives an answer's data and refuses a problem.
function good<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  assert(answer.data !== undefined);
  return answer.data;
}

// refused gives the problem, which has to be of a kind.
function refused(answer: { error?: Problem; response: Response }, status: number, kind: string): Problem {
  assert(answer.error, `answered ${answer.response.status}, want a problem`);
  assert.equal(answer.error.type, `urn:gatehouse:problem:${kind}`, JSON.stringify(answer.error));
  assert.equal(answer.response.status, status);
  assert.equal(answer.error.status, status);
  assert.equal(answer.response.headers.get("Content-Type"), "application/problem+json");
  assert(answer.error.title !== "" && answer.error.detail !== "");
  return answer.error;
}

// code is what a code generator shows (RFC 6238: SHA-1, six digits, 30 s).
function code(secret: string, at: number): string {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g)!.map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const sum = createHmac("sha1", key).update(step).digest();
  const number = sum.readUInt32BE(sum[19]! & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

// The first administrator sets themselves up, and signs in anew.
async function setUpAndSignIn(): Promise<void> {
  const weak = await api.POST("/api/v1/setup", { body: { link: process.env.GATEHOUSE_LINK!, email, name: "Ada Person", password: "password123" } });
  const problem = refused(weak, 422, "invalid");
  assert.equal(problem.faults?.[0]?.field, "password");

  const begun = good(await api.POST("/api/v1/setup", { body: { link: process.env.GATEHOUSE_LINK!, email, name: "Ada Person", password } }));
  assert.equal(begun.stage, "enrol");
  token = begun.token!;
  const { secret } = good(await api.POST("/api/v1/session/generator"));
  const done = good(await api.POST("/api/v1/session/generator/confirm", { body: { name: "phone", code: code(secret, Date.now()) } }));
  assert.equal(done.stage, "signed_in");
  token = done.token!;
  assert.equal((await api.DELETE("/api/v1/session")).response.status, 204);
  refused(await api.GET("/api/v1/session"), 401, "not-signed-in");

  token = "";
  refused(await api.POST("/api/v1/session", { body: { email, password: "wrong" } }), 401, "sign-in-refused");
  const half = good(await api.POST("/api/v1/session", { body: { email, password } }));
  assert.equal(half.stage, "password");
  token = half.token!;
  refused(await api.GET("/api/v1/tenants"), 401, "not-signed-in");
  const whole = good(await api.POST("/api/v1/session/code", { body: { code: code(secret, Date.now() + 30_000) } })); // the present one is used
  assert.equal(whole.operator.roles["*"], "administrator");
  token = whole.token!;
}

// A tenant is added, once, however often the request arrives.
async function addTenant(): Promise<string> {
  const { error } = await outOfOrder(() => api.GET("/api/v1/tenants/detect", { params: { query: { tenant: tenant.domain } } }));
  assert.equal(error?.type, "urn:gatehouse:problem:microsoft");
  assert(error.diagnosis && error.diagnosis.remedies.length > 0, "Microsoft said no, and nothing helps");

  const detected = good(await api.GET("/api/v1/tenants/detect", { params: { query: { tenant: tenant.domain } } }));
  assert.equal(detected.directory_id, tenant.id);
  const header = { "Idempotency-Key": randomUUID() };
  const add = (name: string) => api.POST("/api/v1/tenants", { params: { header }, body: { tenant: tenant.domain, name } });
  const first = await add("Default Shield");
  const again = await add("Default Shield");
  assert.deepEqual(good(again), good(first));
  assert.deepEqual([first, again].map((a) => a.response.headers.get("Idempotency-Replayed")), [null, "true"]);
  refused(await add("Another"), 422, "repeated");
  refused(await api.POST("/api/v1/tenants", { body: { tenant: tenant.domain } }), 409, "conflict");
  return good(first).id;
}

// The reader is set up with a certificate made there, and reads the rules.
async function onboardReader(id: string): Promise<void> {
  const path = { id };
  const client_id = app("reader").client_id;
  const steps = good(await api.PUT("/api/v1/tenants/{id}/reader", { params: { path }, body: { client_id } }));
  assert(steps.steps.length > 0 && steps.consent_url.includes(client_id));
  await uploadCertificate(client_id, steps.certificate_pem);
  let now = good(await api.POST("/api/v1/tenants/{id}/reader/check", { params: { path } }));
  assert.equal(now.reader?.state, "works", now.reader?.reason);
  assert.equal(now.switches.find((s) => s.name === "diagnose")?.state, "on");
  while (!now.snapshot_at) {
    await pause();
    now = good(await api.GET("/api/v1/tenants/{id}", { params: { path } }));
  }
}

const pause = () => new Promise((done) => setTimeout(done, 20)); // between two looks

async function addConnection(tenant_id: string, name: string, account: string): Promise<Connection> {
  const { upn, password } = user(account);
  return good(await api.POST("/api/v1/connections", { body: { tenant_id, kind: "service_account", name, username: upn, services: ["graph"], credential: { password } } }));
}

// eventsOf follows the events of a topic, from before it returns, until one is
// the last.
async function eventsOf(topic: string, last: (e: components["schemas"]["Event"]) => boolean): Promise<{ ended: Promise<number> }> {
  const stop = new AbortController();
  const { data } = await api.GET("/api/v1/events", { params: { query: { topic: [topic] } }, parseAs: "stream", signal: stop.signal });
  assert(data);
  const reader = data.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read(); // the stream has begun
  const follow = async () => {
    let seen = 0;
    for (let rest = ""; ; ) {
      const { value, done } = await reader.read();
      assert(!done, "the events ended");
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop()!;
      for (const line of blocks.flatMap((b) => b.split("\n")).filter((l) => l.startsWith("data:"))) {
        seen++;
        if (last(JSON.parse(line.slice(5)))) {
          stop.abort();
          return seen;
        }
      }
    }
  };
  return { ended: follow() };
}

// A validation names the rule that stops the account, who acts and what helps.
async function validate(connection: Connection): Promise<void> {
  const path = { id: connection.id };
  const live = await eventsOf(`validation/${connection.id}`, (e) => (e.data as { state?: string }).state === "done");
  const started = good(await api.POST("/api/v1/connections/{id}/validations", { params: { path } }));
  let run = started;
  while (run.state !== "done") {
    assert.notEqual(run.state, "unknown", run.reason);
    await pause();
    run = good(await api.GET("/api/v1/validations/{id}", { params: { path: { id: started.id } } }));
  }
  assert((await live.ended) > 1, "a validation tells of its beginning and its end");
  assert.equal(run.verdict, "blocked");
  assert.equal(run.rule?.kind, "security_defaults");
  assert.equal(run.diagnosis?.code, "AADSTS50076");
  assert.equal(run.diagnosis.confidence, "high");
  assert(run.diagnosis.remedies[0] && !run.diagnosis.remedies[0].lowers_protection, "the first remedy is the safest");
  assert(run.probes.some((p) => p.name === "token" && p.state === "failed"));
  const after = good(await api.GET("/api/v1/connections/{id}", { params: { path } }));
  assert.equal(after.verdict, "blocked");
  const history = good(await api.GET("/api/v1/connections/{id}/validations", { params: { path } }));
  assert.deepEqual(history.items.map((v) => v.id), [run.id]);
}

// All pages of a list together are the list.
async function pages(all: Connection[]): Promise<void> {
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = good(await api.GET("/api/v1/connections", { params: { query: { limit: 2, ...(after ? { after } : {}) } } }));
    assert(page.items.length <= 2);
    seen.push(...page.items.map((c) => c.id));
    after = page.next;
  } while (after);
  assert.deepEqual(seen.sort(), all.map((c) => c.id).sort());
  refused(await api.GET("/api/v1/connections", { params: { query: { limit: 0 } } }), 422, "invalid");
  refused(await api.GET("/api/v1/connections", { params: { query: { after: "made up" } } }), 422, "invalid");
}

// What the document promises binds the compiler too.
async function refusedByTypes(tenant_id: string): Promise<void> {
  // @ts-expect-error kind has two values
  refused(await api.POST("/api/v1/connections", { body: { tenant_id, kind: "robot", name: "x" } }), 422, "invalid");
  // @ts-expect-error the tenant is missing
  refused(await api.POST("/api/v1/connections", { body: { kind: "app", name: "x" } }), 422, "invalid");
  // @ts-expect-error there is no such parameter
  refused(await api.GET("/api/v1/tenants", { params: { query: { page: 2 } } }), 422, "invalid");
}

await setUpAndSignIn();
const id = await addTenant();
await onboardReader(id);
const connections = [await addConnection(id, "Admin tool", "svc-connection"), await addConnection(id, "Backup", "svc-plain"), await addConnection(id, "Reports", "svc-new")];
await validate(connections[0]!);
await pages(connections);
await refusedByTypes(id);
refused(await api.GET("/api/v1/connections/{id}", { params: { path: { id: "nowhere" } } }), 404, "not-found");
refused(await api.DELETE("/api/v1/tenants/{id}", { params: { path: { id }, query: { confirm: "Another" } } }), 422, "invalid");
assert.equal((await api.DELETE("/api/v1/tenants/{id}", { params: { path: { id }, query: { confirm: "Default Shield" } } })).response.status, 204);
assert.deepEqual(good(await api.GET("/api/v1/connections")).items, []);
console.log("walked");
